//! The system calls that have no safe wrapper among our dependencies.

use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::os::unix::process::ExitStatusExt;
use std::process::ExitStatus;

/// The most files that go with one message: the kernel's own limit.
pub(crate) const MAX_FILES: usize = 253;

/// Room for the control message that carries the files.
const CONTROL: usize = 64 + MAX_FILES * size_of::<libc::c_int>();

#[repr(align(16))]
struct Control([u8; CONTROL]);

/// Sends some bytes, at least one of them, and files with the first. Gives how many bytes were taken.
pub(crate) fn send(socket: &UnixStream, bytes: &[u8], files: &[BorrowedFd<'_>]) -> io::Result<usize> {
    if files.len() > MAX_FILES {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, format!("more than {MAX_FILES} files")));
    }
    let mut part = libc::iovec { iov_base: bytes.as_ptr().cast_mut().cast(), iov_len: bytes.len() };
    let mut control = Control([0; CONTROL]);
    // SAFETY: all members are numbers and pointers, for which zeros are valid.
    let mut message: libc::msghdr = unsafe { MaybeUninit::zeroed().assume_init() };
    message.msg_iov = &mut part;
    message.msg_iovlen = 1;
    if !files.is_empty() {
        let len = size_of_val(files) as u32;
        message.msg_control = control.0.as_mut_ptr().cast();
        // SAFETY: it only computes.
        message.msg_controllen = unsafe { libc::CMSG_SPACE(len) } as _;
        // SAFETY: the control buffer is aligned and has room for one header and `MAX_FILES` numbers.
        unsafe {
            let header = libc::CMSG_FIRSTHDR(&message);
            (*header).cmsg_level = libc::SOL_SOCKET;
            (*header).cmsg_type = libc::SCM_RIGHTS;
            (*header).cmsg_len = libc::CMSG_LEN(len) as _;
            let data = libc::CMSG_DATA(header).cast::<libc::c_int>();
            for (index, file) in files.iter().enumerate() {
                data.add(index).write_unaligned(file.as_raw_fd());
            }
        }
    }
    loop {
        // SAFETY: the message points to what lives until the call returns.
        let sent = unsafe { libc::sendmsg(socket.as_raw_fd(), &message, libc::MSG_NOSIGNAL) };
        match usize::try_from(sent) {
            Ok(sent) => return Ok(sent),
            Err(_) => match io::Error::last_os_error() {
                error if error.kind() == io::ErrorKind::Interrupted => {}
                error => return Err(error),
            },
        }
    }
}

/// Receives some bytes, and the files that came with them. No bytes: the other side is gone.
pub(crate) fn receive(socket: &UnixStream, bytes: &mut [u8], files: &mut Vec<OwnedFd>) -> io::Result<usize> {
    let mut part = libc::iovec { iov_base: bytes.as_mut_ptr().cast(), iov_len: bytes.len() };
    let mut control = Control([0; CONTROL]);
    // SAFETY: all members are numbers and pointers, for which zeros are valid.
    let mut message: libc::msghdr = unsafe { MaybeUninit::zeroed().assume_init() };
    message.msg_iov = &mut part;
    message.msg_iovlen = 1;
    message.msg_control = control.0.as_mut_ptr().cast();
    message.msg_controllen = CONTROL as _;
    let received = loop {
        // SAFETY: the message points to what lives until the call returns, and is as long as it says.
        let received = unsafe { libc::recvmsg(socket.as_raw_fd(), &mut message, libc::MSG_CMSG_CLOEXEC) };
        match usize::try_from(received) {
            Ok(received) => break received,
            Err(_) => match io::Error::last_os_error() {
                error if error.kind() == io::ErrorKind::Interrupted => {}
                error => return Err(error),
            },
        }
    };
    // SAFETY: the kernel has filled the control buffer in; headers are walked with its own macros, and each file is
    // taken once.
    unsafe {
        let mut header = libc::CMSG_FIRSTHDR(&message);
        while !header.is_null() {
            if (*header).cmsg_level == libc::SOL_SOCKET && (*header).cmsg_type == libc::SCM_RIGHTS {
                let len = (*header).cmsg_len as usize - libc::CMSG_LEN(0) as usize;
                let data = libc::CMSG_DATA(header).cast::<libc::c_int>();
                for index in 0..len / size_of::<libc::c_int>() {
                    files.push(OwnedFd::from_raw_fd(data.add(index).read_unaligned()));
                }
            }
            header = libc::CMSG_NXTHDR(&message, header);
        }
    }
    Ok(received)
}

/// Ends a process and everything that it started in its group.
pub(crate) fn kill_group(leader: u32) {
    if let Ok(leader) = i32::try_from(leader)
        && leader > 1
    {
        // SAFETY: it only sends a signal. The leader is a child that was not waited for, so that the number is its own.
        unsafe { libc::kill(-leader, libc::SIGKILL) };
    }
}

/// Ends this process and its group.
pub(crate) fn kill_own_group() -> ! {
    // SAFETY: it only sends a signal.
    unsafe { libc::kill(0, libc::SIGKILL) };
    std::process::abort()
}

/// Ends this process in the way that another ended.
pub(crate) fn end_as(status: ExitStatus) -> ! {
    if let Some(signal) = status.signal() {
        // SAFETY: the first resets what the signal does to ending the process, the second sends it to this one.
        unsafe {
            libc::signal(signal, libc::SIG_DFL);
            libc::raise(signal);
        }
    }
    std::process::exit(status.code().unwrap_or(1))
}

/// Ends this process as writing to a pipe that nobody reads does where the signal for that (SIGPIPE) is not ignored, as
/// it is in every program in Rust.
pub fn end_by_sigpipe() -> ! {
    end_as(ExitStatus::from_raw(libc::SIGPIPE))
}

/// A crash of this process leaves no memory dump: it may hold people's data.
pub(crate) fn no_core_dumps() {
    let none = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: the structure lives until the call returns.
    unsafe { libc::setrlimit(libc::RLIMIT_CORE, &none) };
}
