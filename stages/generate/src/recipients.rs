//! Who gets a message, and what may be said in it.

use std::collections::{BTreeMap, BTreeSet};

use minijinja::Value;
use polars::datatypes::{InitHashMaps, PlHashMap};
use polars::prelude::{AnyValue, Column, DataFrame, DataType};
use stagewright_contract::{StageContext, StageError, Table};
use stagewright_frame::{Ids, column, polars_error, require, to_frame};

use crate::grammar::{clause, counted, lower_words, money};
use crate::messages::Columns;
use crate::templates::Fields;

/// What a template may read of every product whatever the tables hold; null where there is nothing.
pub(crate) const PRODUCT_FIELDS: &[&str] = &["name", "category", "price", "reason", "label", "price_text", "why"];

/// One user with what is recommended to them.
pub(crate) struct Recipient {
    /// The code of the user among [`Recipients::ids`].
    pub(crate) code: u32,
    /// The identifier as text.
    pub(crate) id: String,
    /// The columns of `users` that templates name.
    pub(crate) user: Fields,
    /// What is recommended, best first, with the columns that templates name.
    pub(crate) products: Vec<Fields>,
    /// Names of what is recommended, and what the reasons say: all of it may stand in the text.
    pub(crate) allowed: Vec<String>,
    /// The values of personal columns of `users`, by column: none of them may stand in the text.
    pub(crate) personal: Vec<(String, String)>,
}

/// Everyone who gets a message, in ascending order of their identifiers.
pub(crate) struct Recipients {
    pub(crate) ids: Ids,
    pub(crate) list: Vec<Recipient>,
    /// The names of all products in the catalogue, if there is one.
    pub(crate) catalogue: Vec<String>,
    /// The columns of `users` and those of the products: what templates can name.
    pub(crate) user_columns: BTreeSet<String>,
    pub(crate) product_columns: BTreeSet<String>,
}

/// The columns that the templates read, given the names in them: the fields that every product has stand for columns.
pub(crate) fn disclosed(names: &BTreeSet<String>, columns: &Columns) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for name in names {
        match name.as_str() {
            "label" => found.extend([columns.name.clone(), columns.category.clone()]),
            "why" => drop(found.insert(columns.reason.clone())),
            "price_text" => found.extend(columns.price.clone()),
            "name" => drop(found.insert(columns.name.clone())),
            "category" => drop(found.insert(columns.category.clone())),
            "reason" => drop(found.insert(columns.reason.clone())),
            "price" => found.extend(columns.price.clone()),
            _ => {}
        }
        found.insert(name.clone());
    }
    found
}

impl Recipients {
    /// Reads the inputs. `names` are those in the templates; no other column gets into the fields.
    ///
    /// # Errors
    /// When a column is missing or of a type that cannot be used.
    pub(crate) fn read(
        context: &StageContext,
        columns: &Columns,
        top: usize,
        currency: &str,
        names: &BTreeSet<String>,
    ) -> Result<Self, StageError> {
        let recommendations = to_frame(&*context.table("recommendations")?)?;
        require(&recommendations, [columns.user.as_str(), &columns.product, &columns.rank])?;
        let products = optional(context, "products")?;
        let users = optional(context, "users")?;
        let disclosed = disclosed(names, columns);

        let users_key = users.as_ref().map(|(frame, _)| key(frame, &columns.users_key, &columns.user)).transpose()?;
        let mut tables = vec![("recommendations", &recommendations)];
        tables.extend(users_key.as_ref().map(|frame| ("users", frame)));
        let ids = Ids::of(&columns.user, &tables)?;
        let products_key =
            products.as_ref().map(|(frame, _)| key(frame, &columns.products_key, &columns.product)).transpose()?;
        let mut tables = vec![("recommendations", &recommendations)];
        tables.extend(products_key.as_ref().map(|frame| ("products", frame)));
        let product_ids = Ids::of(&columns.product, &tables)?;

        let products_frame = products.as_ref().map(|(frame, _)| frame);
        if let Some(frame) = products_frame {
            column(frame, &columns.name)?;
        }
        let cells = ProductCells {
            recommendations: Cells::of(&recommendations, &disclosed),
            products: products_frame.map(|frame| Cells::of(frame, &disclosed)),
            rows: products_key.as_ref().map(|frame| first_rows(&product_ids, frame)).transpose()?,
            columns,
            currency,
            names,
        };
        let user_cells = users.as_ref().map(|(frame, _)| Cells::of(frame, &disclosed));
        let personal = users.as_ref().map(|(frame, table)| {
            let names: BTreeSet<String> = table.personal().map(str::to_owned).collect();
            Cells::of(frame, &names)
        });
        let user_rows = users_key.as_ref().map(|frame| first_rows(&ids, frame)).transpose()?;

        let mut rows = rows(context, &recommendations, columns, &ids, &product_ids)?;
        rows.sort_by_key(|row| (row.user, row.rank, row.row));
        let mut list = Vec::new();
        let (mut unnamed, mut without) = (0, 0);
        for rows in rows.chunk_by(|a, b| a.user == b.user) {
            let Some(first) = rows.first() else { continue };
            let mut recipient = Recipient {
                code: first.user,
                id: ids.text(first.user).into_owned(),
                user: Fields::new(),
                products: Vec::new(),
                allowed: Vec::new(),
                personal: Vec::new(),
            };
            let mut seen = BTreeSet::new();
            for row in rows {
                if !seen.insert(row.product) {
                    continue;
                }
                let id = product_ids.text(row.product);
                let Some(said) = cells.said(row.row, row.product, &id) else {
                    unnamed += 1;
                    continue;
                };
                if recipient.products.len() < top {
                    recipient.products.push(cells.fields(row.row, row.product, &said));
                }
                recipient.allowed.push(said.name);
                recipient.allowed.extend(said.reason);
            }
            if recipient.products.is_empty() {
                without += 1;
                continue;
            }
            let user_row = user_rows.as_ref().and_then(|rows| rows.get(&first.user)).copied();
            if let Some(cells) = &user_cells {
                recipient.user = user_row.map_or_else(|| cells.nulls(), |row| cells.fields(row));
            }
            if names.contains(&columns.user) {
                let id = recipient.id.parse::<i64>().map_or_else(|_| Value::from(recipient.id.clone()), Value::from);
                recipient.user.insert(columns.user.clone(), id);
            }
            if let (Some(cells), Some(row)) = (&personal, user_row) {
                let fields = cells.fields(row).into_iter();
                recipient.personal = fields.map(|(name, value)| (name, value.to_string())).collect();
            }
            list.push(recipient);
            context.check_cancelled()?;
        }
        if unnamed > 0 {
            context.warn(format!(
                "{} left out: the product has no row or no `{}` in `products`",
                counted(unnamed, "recommendation"),
                columns.name
            ));
        }
        if without > 0 {
            context.warn(format!("{} without a product that can be named: no message", counted(without, "user")));
        }
        let catalogue = match products_frame {
            Some(frame) => texts(column(frame, &columns.name)?),
            None => Vec::new(),
        };
        let all = |frame: &DataFrame| frame.columns().iter().map(|c| c.name().to_string()).collect::<BTreeSet<_>>();
        let mut user_columns = users.as_ref().map(|(frame, _)| all(frame)).unwrap_or_default();
        user_columns.insert(columns.user.clone());
        let mut product_columns = all(&recommendations);
        product_columns.extend(products_frame.map(all).unwrap_or_default());
        product_columns.extend(PRODUCT_FIELDS.iter().map(|name| (*name).to_owned()));
        Ok(Self { ids, list, catalogue, user_columns, product_columns })
    }
}

/// A recommendation.
struct Row {
    user: u32,
    product: u32,
    /// Null ranks come last.
    rank: (bool, i64),
    row: usize,
}

fn rows(
    context: &StageContext,
    frame: &DataFrame,
    columns: &Columns,
    users: &Ids,
    products: &Ids,
) -> Result<Vec<Row>, StageError> {
    let rank = column(frame, &columns.rank)?;
    if !rank.dtype().is_integer() && rank.dtype() != &DataType::Null {
        return Err(StageError::data(format!("column `{}` is {}, an integer is needed", columns.rank, rank.dtype()))
            .with_help("cast it with `clean.cast`, or name another column in `columns.rank`"));
    }
    let reading = |error| polars_error(&format!("reading column `{}`", columns.rank), &error);
    let ranks = rank.strict_cast(&DataType::Int64).map_err(reading)?;
    let ranks = ranks.i64().map_err(reading)?;
    let of_user = users.codes(frame)?;
    let of_product = products.codes(frame)?;
    let rows: Vec<Row> = of_user
        .into_iter()
        .zip(of_product)
        .zip(ranks.iter())
        .enumerate()
        .filter_map(|(row, ((user, product), rank))| {
            let rank = (rank.is_none(), rank.unwrap_or_default());
            Some(Row { user: user?, product: product?, rank, row })
        })
        .collect();
    let missing = frame.height() - rows.len();
    if missing > 0 {
        let (user, product) = (&columns.user, &columns.product);
        context.warn(format!(
            "{missing} of {} recommendations are left out: `{user}` or `{product}` is missing",
            frame.height()
        ));
    }
    Ok(rows)
}

/// How the fields of a product come about.
struct ProductCells<'a> {
    recommendations: Cells<'a>,
    products: Option<Cells<'a>>,
    rows: Option<PlHashMap<u32, usize>>,
    columns: &'a Columns,
    currency: &'a str,
    names: &'a BTreeSet<String>,
}

/// What the message may say of a product whichever template it is written from.
struct Said {
    name: String,
    reason: Option<String>,
}

impl ProductCells<'_> {
    /// What may be said of a recommended product; nothing when it has no name.
    fn said(&self, row: usize, code: u32, id: &str) -> Option<Said> {
        let named = match &self.products {
            Some(cells) => Some(cells.text(self.product_row(code)?, &self.columns.name)?),
            None => None,
        };
        let name = named.or_else(|| self.text(row, code, &self.columns.name)).unwrap_or_else(|| id.to_owned());
        let name = tidy(&name);
        (!name.is_empty()).then(|| Said { name, reason: self.text(row, code, &self.columns.reason) })
    }

    /// The fields of that product.
    fn fields(&self, row: usize, code: u32, said: &Said) -> Fields {
        let mut fields = self.recommendations.fields(row);
        if let (Some(cells), Some(row)) = (&self.products, self.product_row(code)) {
            fields.extend(cells.fields(row));
        }
        let category = self.text(row, code, &self.columns.category);
        let price = self.columns.price.as_ref().and_then(|column| self.value(row, code, column));
        let price_text = price.as_ref().and_then(|price| f64::try_from(price.clone()).ok());
        let price_text = price_text.filter(|price| price.is_finite()).map(|price| money(price, self.currency));
        let Said { name, reason } = said;
        let label = match &category {
            Some(category) => format!("{name} ({})", lower_words(category)),
            None => name.clone(),
        };
        let optional = |value: Option<String>| value.map_or_else(|| Value::from(()), Value::from);
        // A field gets there only when a template names it.
        for (field, value) in [
            ("name", Value::from(name.as_str())),
            ("label", Value::from(label)),
            ("category", optional(category)),
            ("why", optional(reason.as_deref().map(clause))),
            ("reason", optional(reason.clone())),
            ("price", price.unwrap_or_else(|| Value::from(()))),
            ("price_text", optional(price_text)),
        ] {
            if self.names.contains(field) {
                fields.insert(field.to_owned(), value);
            }
        }
        fields
    }

    fn product_row(&self, code: u32) -> Option<usize> {
        self.rows.as_ref()?.get(&code).copied()
    }

    /// From the recommendations, or else from the products.
    fn value(&self, row: usize, code: u32, name: &str) -> Option<Value> {
        let own = self.recommendations.value(row, name);
        let other = || self.products.as_ref()?.value(self.product_row(code)?, name);
        own.filter(|value| !value.is_none()).or_else(other).filter(|value| !value.is_none())
    }

    fn text(&self, row: usize, code: u32, name: &str) -> Option<String> {
        self.value(row, code, name).map(|value| tidy(&value.to_string())).filter(|text| !text.is_empty())
    }
}

/// The columns of a table that may be read into fields.
struct Cells<'a> {
    frame: &'a DataFrame,
    shown: Vec<&'a Column>,
}

impl<'a> Cells<'a> {
    fn of(frame: &'a DataFrame, shown: &BTreeSet<String>) -> Self {
        let shown = frame.columns().iter().filter(|column| shown.contains(column.name().as_str())).collect();
        Self { frame, shown }
    }

    fn fields(&self, row: usize) -> Fields {
        self.shown.iter().map(|column| (column.name().to_string(), cell(column, row))).collect()
    }

    fn nulls(&self) -> Fields {
        self.shown.iter().map(|column| (column.name().to_string(), Value::from(()))).collect()
    }

    fn value(&self, row: usize, name: &str) -> Option<Value> {
        self.frame.columns().iter().find(|column| column.name().as_str() == name).map(|column| cell(column, row))
    }

    fn text(&self, row: usize, name: &str) -> Option<String> {
        self.value(row, name).filter(|value| !value.is_none()).map(|value| value.to_string())
    }
}

fn cell(column: &Column, row: usize) -> Value {
    match column.get(row) {
        Err(_) | Ok(AnyValue::Null) => Value::from(()),
        Ok(AnyValue::String(text)) => Value::from(text),
        Ok(AnyValue::StringOwned(text)) => Value::from(text.as_str()),
        Ok(AnyValue::Boolean(value)) => Value::from(value),
        Ok(AnyValue::Float64(value)) => float(value),
        Ok(AnyValue::Float32(value)) => float(f64::from(value)),
        Ok(other) => other
            .extract::<i64>()
            .filter(|_| column.dtype().is_integer())
            .map_or_else(|| Value::from(other.to_string()), Value::from),
    }
}

fn float(value: f64) -> Value {
    if value.is_finite() { Value::from(value) } else { Value::from(()) }
}

/// A name as it stands in a sentence: one line, no spaces around it.
fn tidy(text: &str) -> String {
    let mut tidy = String::with_capacity(text.len());
    for word in text.split_whitespace() {
        if !tidy.is_empty() {
            tidy.push(' ');
        }
        tidy.push_str(word);
    }
    tidy
}

fn texts(column: &Column) -> Vec<String> {
    let Ok(texts) = column.str() else { return Vec::new() };
    let mut texts: Vec<String> = texts.iter().flatten().map(tidy).filter(|text| !text.is_empty()).collect();
    texts.sort_unstable();
    texts.dedup();
    texts
}

fn optional(context: &StageContext, port: &str) -> Result<Option<(DataFrame, std::sync::Arc<Table>)>, StageError> {
    if !context.has_input(port) {
        return Ok(None);
    }
    let table = context.table(port)?;
    Ok(Some((to_frame(&table)?, table)))
}

/// The key column alone, under the name that it has in `recommendations`.
fn key(frame: &DataFrame, name: &Option<String>, wanted: &str) -> Result<DataFrame, StageError> {
    let key = column(frame, name.as_deref().unwrap_or(wanted))?.clone().with_name(wanted.into());
    DataFrame::new(frame.height(), vec![key]).map_err(|error| polars_error("reading the keys", &error))
}

/// The first row of each identifier.
fn first_rows(ids: &Ids, frame: &DataFrame) -> Result<PlHashMap<u32, usize>, StageError> {
    let mut rows = PlHashMap::new();
    for (row, code) in ids.codes(frame)?.into_iter().enumerate() {
        if let Some(code) = code {
            rows.entry(code).or_insert(row);
        }
    }
    Ok(rows)
}

/// The values that a template sees: the user, the products and what goes with them.
pub(crate) fn values(recipient: &Recipient, merge: &Fields) -> Fields {
    let products: Vec<Value> = recipient.products.iter().map(|product| Value::from(product.clone())).collect();
    BTreeMap::from([
        ("user".to_owned(), Value::from(recipient.user.clone())),
        ("first".to_owned(), products.first().cloned().unwrap_or_default()),
        ("rest".to_owned(), Value::from(products.get(1..).unwrap_or_default().to_vec())),
        ("count".to_owned(), Value::from(products.len())),
        ("products".to_owned(), Value::from(products)),
        ("merge".to_owned(), Value::from(merge.clone())),
    ])
}
