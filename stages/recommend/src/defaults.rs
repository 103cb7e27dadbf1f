//! The defaults of parameters that several stage types have.

pub(crate) fn ten() -> usize {
    10
}

pub(crate) fn user_id() -> String {
    "user_id".to_owned()
}

pub(crate) fn product_id() -> String {
    "product_id".to_owned()
}

pub(crate) fn order_id() -> String {
    "order_id".to_owned()
}

pub(crate) fn created_at() -> String {
    "created_at".to_owned()
}
