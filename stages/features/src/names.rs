//! The usual names of columns: the defaults of parameters.

pub(crate) fn user_id() -> String {
    "user_id".to_owned()
}

pub(crate) fn order_id() -> String {
    "order_id".to_owned()
}

pub(crate) fn product_id() -> String {
    "product_id".to_owned()
}

pub(crate) fn sale_price() -> String {
    "sale_price".to_owned()
}

pub(crate) fn num_of_item() -> String {
    "num_of_item".to_owned()
}

pub(crate) fn created_at() -> String {
    "created_at".to_owned()
}

pub(crate) fn order_number() -> String {
    "order_number".to_owned()
}

pub(crate) fn department_id() -> String {
    "department_id".to_owned()
}

pub(crate) fn reordered() -> String {
    "reordered".to_owned()
}
