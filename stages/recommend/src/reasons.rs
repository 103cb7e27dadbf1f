//! Why a product is recommended, in words.

use std::borrow::Cow;

use polars::prelude::{DataFrame, DataType};
use stagewright_contract::{Kind, Port, StageContext, StageError};
use stagewright_frame::{Ids, column, polars_error, to_frame};

/// Why a product is in a list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reason {
    /// The person bought it in so many orders, the last one so many days ago where days are known.
    Bought { orders: u32, days: Option<u32> },
    /// People who bought this other product bought it, too.
    With(u32),
    /// Many people buy it.
    Popular,
    /// Many people of the person's segment buy it.
    PopularInSegment,
    /// Its price and buyers are like the person's spend and gender.
    Similar,
}

impl Reason {
    /// One short phrase.
    pub(crate) fn text(self, products: &Ids, names: &Names) -> String {
        match self {
            Self::Bought { orders, days } => {
                let last = match days {
                    None => String::new(),
                    Some(0) => "today".to_owned(),
                    Some(1) => "1 day ago".to_owned(),
                    Some(days) => format!("{days} days ago"),
                };
                match (orders, last.as_str()) {
                    (1, "") => "bought once".to_owned(),
                    (1, _) => format!("bought once, {last}"),
                    (_, "") => format!("bought {orders} times"),
                    _ => format!("bought {orders} times, last {last}"),
                }
            }
            Self::With(other) => format!("often bought with {}", names.text(other, products)),
            Self::Popular => "popular".to_owned(),
            Self::PopularInSegment => "popular in your segment".to_owned(),
            Self::Similar => "close to what you usually spend".to_owned(),
        }
    }
}

/// The port of the products' names.
pub(crate) fn products_port() -> Port {
    Port::input(
        "products",
        Kind::Table,
        "The products' names, for the reasons: a table with the product and name columns. Without it, reasons name \
         products by their identifiers.",
    )
    .optional()
}

/// The default of the parameter `name`.
pub(crate) fn name() -> String {
    "name".to_owned()
}

/// What products are called.
pub(crate) struct Names {
    texts: Vec<Option<String>>,
    personal: bool,
}

impl Names {
    /// For reasons that name no product.
    pub(crate) fn none() -> Self {
        Self { texts: Vec::new(), personal: false }
    }

    /// Those in column `name` of the input `products`, if it is connected. Of several names of a product, the first in
    /// the order of the alphabet counts.
    ///
    /// # Errors
    /// When a column is missing or of another type than is needed.
    pub(crate) fn read(
        context: &StageContext,
        purchases: &DataFrame,
        products: &Ids,
        product: &str,
        name: &str,
    ) -> Result<Self, StageError> {
        let mut personal = context.table("purchases")?.is_personal(product);
        let mut texts: Vec<Option<String>> = Vec::new();
        if context.has_input("products") {
            let table = context.table("products")?;
            personal |= table.is_personal(product) || table.is_personal(name);
            let frame = to_frame(&table)?;
            let names = column(&frame, name)?;
            if names.dtype() != &DataType::String {
                return Err(StageError::data(format!("column `{name}` is {}, text is needed", names.dtype()))
                    .with_help("name the column with the products' names in `name`"));
            }
            // Only the types are compared: products that nobody bought need no code.
            Ids::of(product, &[("purchases", &purchases.head(Some(0))), ("products", &frame.head(Some(0)))])?;
            texts.resize(products.len(), None);
            let names = names.str().map_err(|error| polars_error(&format!("reading column `{name}`"), &error))?;
            for (code, name) in products.codes(&frame)?.into_iter().zip(names.iter()) {
                if let (Some(slot), Some(name)) = (code.and_then(|code| texts.get_mut(code as usize)), name)
                    && slot.as_deref().is_none_or(|known| name < known)
                {
                    *slot = Some(name.to_owned());
                }
            }
        }
        Ok(Self { texts, personal })
    }

    /// Whether naming a product tells something personal.
    pub(crate) fn are_personal(&self) -> bool {
        self.personal
    }

    fn text<'a>(&'a self, code: u32, products: &'a Ids) -> Cow<'a, str> {
        match self.texts.get(code as usize) {
            Some(Some(name)) => Cow::Borrowed(name),
            _ => format!("product {}", products.text(code)).into(),
        }
    }
}
