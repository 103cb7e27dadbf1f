//! The order in which the nodes of a plan execute. A pure state machine: whoever drives it tells it what happened and
//! asks it what to do next. Every transition goes through `Schedule::enter`.

use std::cmp::Reverse;
use std::collections::{BTreeSet, BinaryHeap};

use crate::plan::{NodeId, Plan};
use crate::spec::Resources;

/// Where a node is on its way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StageState {
    /// Waits for so many of its inputs.
    Waiting(usize),
    /// All inputs are there: its key can be computed and looked up.
    Ready,
    /// Not in the store: to be executed when the machine has room.
    Queued,
    /// Executes, and holds its resources.
    Executing,
    /// Its key is being computed elsewhere.
    Aside,
    /// Its outputs are there.
    Done,
    /// It failed.
    Failed,
    /// It was not needed or cannot be: `when` is false, or an input failed or was skipped.
    Skipped,
}

impl StageState {
    /// Whether nothing more will happen to the node.
    pub fn is_final(self) -> bool {
        matches!(self, Self::Done | Self::Failed | Self::Skipped)
    }
}

/// The states of all nodes, and what the machine has left.
#[derive(Debug)]
pub struct Schedule {
    states: Vec<StageState>,
    /// Who is connected to a node, and to whom it is: once per connection.
    dependents: Vec<Vec<NodeId>>,
    inputs: Vec<Vec<NodeId>>,
    needs: Vec<Resources>,
    /// The length of the longest chain of dependents: long chains first keeps all cores busy to the end.
    height: Vec<usize>,
    ready: BinaryHeap<(usize, Reverse<NodeId>)>,
    queued: BTreeSet<(Reverse<usize>, NodeId)>,
    free: Resources,
    total: Resources,
    executing: usize,
    open: usize,
    /// Whether [`Schedule::skip_rest`] was called: from then on nothing begins.
    closed: bool,
}

impl Schedule {
    /// All nodes of a plan, on a machine with these resources.
    pub fn new(plan: &Plan, total: Resources) -> Self {
        let count = plan.nodes.len();
        let mut dependents = vec![Vec::new(); count];
        let mut inputs = Vec::with_capacity(count);
        let mut states = Vec::with_capacity(count);
        for (id, node) in plan.nodes.iter().enumerate() {
            for input in &node.inputs {
                dependents[input.node].push(id);
            }
            inputs.push(node.inputs.iter().map(|input| input.node).collect());
            states.push(StageState::Waiting(node.inputs.len()));
        }
        let mut height = vec![0; count];
        for id in (0..count).rev() {
            height[id] = dependents[id].iter().map(|&next| height[next] + 1).max().unwrap_or(0);
        }
        let mut schedule = Self {
            states,
            dependents,
            inputs,
            needs: plan.nodes.iter().map(|node| node.resources).collect(),
            height,
            ready: BinaryHeap::new(),
            queued: BTreeSet::new(),
            free: total,
            total,
            executing: 0,
            open: count,
            closed: false,
        };
        for (id, node) in plan.nodes.iter().enumerate() {
            if !node.enabled {
                schedule.skip(id);
            } else if schedule.states[id] == StageState::Waiting(0) {
                schedule.enter(id, StageState::Ready);
            }
        }
        schedule
    }

    /// Where a node is.
    pub fn state(&self, id: NodeId) -> StageState {
        self.states[id]
    }

    /// Whether nothing more will happen.
    pub fn is_finished(&self) -> bool {
        self.open == 0
    }

    /// How many nodes execute.
    pub fn executing(&self) -> usize {
        self.executing
    }

    /// A node whose inputs are all there. It stays [`StageState::Ready`] until the caller says how the look-up went.
    pub fn next_ready(&mut self) -> Option<NodeId> {
        while let Some((_, Reverse(id))) = self.ready.pop() {
            if self.states[id] == StageState::Ready {
                return Some(id);
            }
        }
        None
    }

    /// The node is not in the store and is to be executed.
    pub fn queue(&mut self, id: NodeId) {
        self.enter(id, StageState::Queued);
    }

    /// A queued node for which there is room; it now executes. A node that wants more than the machine has gets all of
    /// it.
    pub fn next_executable(&mut self) -> Option<NodeId> {
        if self.free.cpus == 0 && self.total.cpus > 0 {
            return None; // Every node wants a core: no need to ask each of thousands.
        }
        let fits = |&&(_, id): &&(Reverse<usize>, NodeId)| {
            let need = self.capped(id);
            need.cpus <= self.free.cpus && need.memory <= self.free.memory
        };
        let &(_, id) = self.queued.iter().find(fits)?;
        self.enter(id, StageState::Executing);
        Some(id)
    }

    /// The node's outputs are there: in the store, or on the way into it. (If they do not get there, it failed after
    /// all; what began with them goes on.)
    pub fn done(&mut self, id: NodeId) {
        self.enter(id, StageState::Done);
        for dependent in self.dependents[id].clone() {
            if let StageState::Waiting(count) = self.states[dependent] {
                // A dependent is listed once per connection.
                if count <= 1 {
                    self.enter(dependent, StageState::Ready);
                } else {
                    self.states[dependent] = StageState::Waiting(count - 1);
                }
            }
        }
    }

    /// The node failed: what depends on it is skipped, all else goes on.
    pub fn failed(&mut self, id: NodeId) {
        self.enter(id, StageState::Failed);
        for dependent in self.dependents[id].clone() {
            self.skip(dependent);
        }
    }

    /// The node will not execute, nor will what depends on it.
    pub fn skip(&mut self, id: NodeId) {
        let mut stack = vec![id];
        while let Some(id) = stack.pop() {
            if !self.states[id].is_final() && self.states[id] != StageState::Executing {
                self.enter(id, StageState::Skipped);
                stack.extend(self.dependents[id].iter().copied());
            }
        }
    }

    /// Skips every node that has not begun to execute. Those that execute may end, but none begins again.
    pub fn skip_rest(&mut self) {
        self.closed = true;
        for id in 0..self.states.len() {
            self.skip(id);
        }
    }

    /// The key of the node is being computed elsewhere: it is neither queued nor executing until [`Schedule::retry`].
    pub fn set_aside(&mut self, id: NodeId) {
        self.enter(id, StageState::Aside);
    }

    /// The node is to be looked up again: it was set aside, or its execution came to nothing.
    pub fn retry(&mut self, id: NodeId) {
        // A node that was set aside may have been skipped since.
        if !self.states[id].is_final() {
            self.enter(id, StageState::Ready);
        }
    }

    /// An executing node found the stored output of `producer` damaged: the producer executes again, and the node waits
    /// for it.
    pub fn redo(&mut self, producer: NodeId, consumer: NodeId) {
        if self.states[producer].is_final() {
            let counted = self.states[producer] == StageState::Done;
            self.enter(producer, StageState::Ready);
            // Others that wait have counted it.
            for dependent in self.dependents[producer].clone().into_iter().filter(|_| counted) {
                if let StageState::Waiting(count) = self.states[dependent] {
                    self.states[dependent] = StageState::Waiting(count + 1);
                }
            }
        }
        let missing = self.inputs[consumer].iter().filter(|&&input| self.states[input] != StageState::Done).count();
        self.enter(consumer, StageState::Waiting(missing));
    }

    fn capped(&self, id: NodeId) -> Resources {
        let need = self.needs[id];
        Resources { cpus: need.cpus.min(self.total.cpus), memory: need.memory.min(self.total.memory) }
    }

    /// The one place where a node changes its state: queues, resources and the count of open nodes follow from it.
    fn enter(&mut self, id: NodeId, next: StageState) {
        let next = match next {
            StageState::Waiting(_) | StageState::Ready | StageState::Queued | StageState::Aside if self.closed => {
                StageState::Skipped
            }
            next => next,
        };
        let before = std::mem::replace(&mut self.states[id], next);
        let need = self.capped(id);
        match before {
            StageState::Queued => {
                self.queued.remove(&(Reverse(self.height[id]), id));
            }
            StageState::Executing => {
                self.free.cpus += need.cpus;
                self.free.memory += need.memory;
                self.executing -= 1;
            }
            StageState::Done | StageState::Failed | StageState::Skipped => self.open += 1,
            StageState::Waiting(_) | StageState::Ready | StageState::Aside => {}
        }
        match next {
            StageState::Ready => self.ready.push((self.height[id], Reverse(id))),
            StageState::Queued => {
                self.queued.insert((Reverse(self.height[id]), id));
            }
            StageState::Executing => {
                self.free.cpus -= need.cpus;
                self.free.memory -= need.memory;
                self.executing += 1;
            }
            StageState::Done | StageState::Failed | StageState::Skipped => self.open -= 1,
            StageState::Waiting(_) | StageState::Aside => {}
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
mod tests;
