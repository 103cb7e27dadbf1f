//! Templates: what they name is found before they are filled in, and nothing else reaches them.

use std::collections::{BTreeMap, BTreeSet};

use minijinja::{AutoEscape, Environment, Error, ErrorKind, UndefinedBehavior, Value};
use stagewright_contract::{ParamError, StageError};
use stagewright_frame::nearest;

use crate::grammar;

/// Named values, as a template sees them.
pub(crate) type Fields = BTreeMap<String, Value>;

/// What one template may do, in steps of the engine: enough for long lists, and an end to endless loops.
const FUEL: u64 = 200_000;

/// What templates may name besides the data.
const FUNCTIONS: &[&str] = &["range", "dict", "namespace", "plural", "loop"];

/// Templates that are compiled, by name.
pub(crate) struct Templates {
    environment: Environment<'static>,
    sources: Vec<(String, String)>,
}

impl Templates {
    /// Compiles templates and checks the variables that they begin with. A name is a path into `with:`.
    ///
    /// # Errors
    /// The first template that is no template, or names a variable that there is not.
    pub(crate) fn new(
        sources: impl IntoIterator<Item = (String, String)>,
        variables: &[&str],
    ) -> Result<Self, ParamError> {
        let mut environment = Environment::new();
        environment.set_undefined_behavior(UndefinedBehavior::Strict);
        environment.set_auto_escape_callback(|_| AutoEscape::None);
        environment.set_fuel(Some(FUEL));
        environment.set_formatter(|out, state, value| {
            // `none` in a text helps nobody.
            if value.is_none() {
                return Err(Error::new(ErrorKind::InvalidOperation, "a value is null"));
            }
            minijinja::escape_formatter(out, state, value)
        });
        environment.add_filter("join_and", |items: Vec<Value>| {
            grammar::join_and(&items.iter().map(Value::to_string).collect::<Vec<_>>())
        });
        environment.add_filter("with_article", |text: String| format!("{} {text}", grammar::article(&text)));
        environment.add_filter("number", |count: usize| grammar::number(count));
        environment.add_filter("capital", |text: String| grammar::capital(&text));
        environment.add_filter("sentence", |text: String| grammar::sentence(&text));
        environment.add_filter("lower_words", |text: String| grammar::lower_words(&text));
        environment
            .add_function("plural", |count: usize, one: String, many: String| if count == 1 { one } else { many });
        let sources: Vec<(String, String)> = sources.into_iter().collect();
        for (name, source) in &sources {
            let wrong = |error: &Error| {
                let line = error.line().map(|line| format!(" (line {line})")).unwrap_or_default();
                ParamError::new(name, format!("it is not a template: {}{line}", said(error)))
            };
            environment.add_template_owned(name.clone(), source.clone()).map_err(|error| wrong(&error))?;
            let template = environment.get_template(name).map_err(|error| wrong(&error))?;
            let mut unknown: Vec<String> = template
                .undeclared_variables(false)
                .into_iter()
                .filter(|variable| !variables.contains(&variable.as_str()) && !FUNCTIONS.contains(&variable.as_str()))
                .collect();
            unknown.sort();
            if let Some(variable) = unknown.first() {
                let error = ParamError::new(name, format!("the template names `{variable}`, which there is not"));
                return Err(match nearest(variable, variables.iter().copied()) {
                    Some(near) => error.with_help(format!("did you mean `{near}`?")),
                    None => error.with_help(format!("there are: {}", variables.join(", "))),
                });
            }
        }
        Ok(Self { environment, sources })
    }

    /// Every name and every text that stands in the code of the templates. A field of that name may be read by them; no
    /// other field can be, since the values that they are given hold these alone.
    pub(crate) fn names(&self) -> BTreeSet<String> {
        self.sources
            .iter()
            .flat_map(|(_, source)| tokens(source))
            .filter_map(|token| match token.kind {
                TokenKind::Name(name) | TokenKind::Text(name) => Some(name),
                TokenKind::Sign(_) => None,
            })
            .collect()
    }

    /// Checks every `something.field` against the fields that there are: `of` gives those of a variable, or of all
    /// where what stands before the dot is a variable of the template's own.
    ///
    /// # Errors
    /// The first field that there is not, with the nearest that there is.
    pub(crate) fn check_fields(&self, of: impl Fn(&str) -> BTreeSet<String>) -> Result<(), StageError> {
        for (name, source) in &self.sources {
            let tokens = tokens(source);
            for (at, window) in tokens.windows(3).enumerate() {
                let [before, dot, field] = window else { continue };
                let (TokenKind::Name(object), TokenKind::Sign('.'), TokenKind::Name(wanted)) =
                    (&before.kind, &dot.kind, &field.kind)
                else {
                    continue;
                };
                let next = tokens.get(at + 3).map(|token| &token.kind);
                let call = matches!(next, Some(TokenKind::Sign('(')));
                let asked = matches!(next, Some(TokenKind::Name(is)) if is == "is");
                if object == "loop" || call || asked {
                    continue;
                }
                let known = of(object);
                if known.contains(wanted) {
                    continue;
                }
                let error = StageError::data(format!(
                    "the template `{name}` reads `{object}.{wanted}` (line {}), which there is not",
                    field.line
                ));
                return Err(match nearest(wanted, known.iter().map(String::as_str)) {
                    Some(near) => error.with_help(format!("did you mean `{near}`?")),
                    None => error.with_help(format!(
                        "there are: {}",
                        known.iter().map(String::as_str).collect::<Vec<_>>().join(", ")
                    )),
                });
            }
        }
        Ok(())
    }

    /// Fills in a template. What is said of an error holds no values.
    ///
    /// # Errors
    /// When the template reads what is not there, or does what cannot be done with a value.
    pub(crate) fn render(&self, name: &str, values: &Fields) -> Result<String, StageError> {
        let template = self
            .environment
            .get_template(name)
            .map_err(|error| StageError::bug(format!("the template `{name}`: {}", said(&error))))?;
        template.render(values).map(|text| text.trim().to_owned()).map_err(|error| {
            let line = error.line().map(|line| format!(" (line {line})")).unwrap_or_default();
            let said = match error.kind() {
                ErrorKind::OutOfFuel => "it does not come to an end".to_owned(),
                _ => said(&error),
            };
            StageError::data(format!("the template `{name}` cannot be filled in: {said}{line}")).with_help(
                "a value may be null or missing for some users: `{% if product.reason %}…{% endif %}` asks first",
            )
        })
    }
}

fn said(error: &Error) -> String {
    let kind = error.kind().to_string();
    error.detail().map_or(kind.clone(), |detail| format!("{kind}: {detail}"))
}

struct Token {
    kind: TokenKind,
    line: usize,
}

enum TokenKind {
    Name(String),
    Text(String),
    Sign(char),
}

/// The tokens of the code in a template: what stands between `{{` and `}}` or `{%` and `%}`.
fn tokens(source: &str) -> Vec<Token> {
    let mut found = Vec::new();
    let mut line = 1;
    let mut chars = source.chars().peekable();
    let mut code = false;
    let mut comment = false;
    while let Some(c) = chars.next() {
        let next = chars.peek().copied();
        line += usize::from(c == '\n');
        if comment {
            if c == '#' && next == Some('}') {
                comment = false;
                chars.next();
            }
        } else if !code {
            match (c, next) {
                ('{', Some('{' | '%')) => {
                    code = true;
                    chars.next();
                }
                ('{', Some('#')) => {
                    comment = true;
                    chars.next();
                }
                _ => {}
            }
        } else if c == '"' || c == '\'' {
            let mut text = String::new();
            while let Some(inner) = chars.next() {
                line += usize::from(inner == '\n');
                match inner {
                    '\\' => text.extend(chars.next()),
                    end if end == c => break,
                    other => text.push(other),
                }
            }
            found.push(Token { kind: TokenKind::Text(text), line });
        } else if c.is_alphanumeric() || c == '_' {
            let mut name = String::from(c);
            while let Some(more) = chars.next_if(|c| c.is_alphanumeric() || *c == '_') {
                name.push(more);
            }
            if !c.is_numeric() {
                found.push(Token { kind: TokenKind::Name(name), line });
            }
        } else if (c == '}' || c == '%') && next == Some('}') {
            code = false;
            chars.next();
        } else if !c.is_whitespace() {
            found.push(Token { kind: TokenKind::Sign(c), line });
        }
    }
    found
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

    use super::*;

    fn one(source: &str) -> Result<Templates, ParamError> {
        Templates::new([("prompt".to_owned(), source.to_owned())], &["products", "user"])
    }

    #[test]
    fn names_are_those_in_code() {
        let templates =
            one("Never say age. {# user.secret #}{% for p in products %}{{ p.name ~ p['retail price'] }}{% endfor %}");
        let names = templates.unwrap().names();
        assert!(names.contains("name") && names.contains("retail price") && names.contains("products"));
        assert!(!names.contains("age") && !names.contains("secret"));
    }

    #[test]
    fn unknown_variables_are_named_with_the_nearest() {
        let error = one("{{ product }}").err().unwrap();
        assert_eq!(error.to_string(), "prompt: the template names `product`, which there is not");
        assert_eq!(error.help.unwrap(), "did you mean `products`?");
        let error = one("{{ user").err().unwrap();
        assert!(error.to_string().starts_with("prompt: it is not a template: syntax error"), "{error}");
    }

    #[test]
    fn unknown_fields_are_named_with_the_nearest() {
        let known = |_: &str| BTreeSet::from(["name".to_owned(), "category".to_owned()]);
        let templates = one("a\n{% for p in products %}{{ loop.index }} {{ p.nmae }}{% endfor %}").unwrap();
        let error = templates.check_fields(known).unwrap_err();
        assert_eq!(error.message, "the template `prompt` reads `p.nmae` (line 2), which there is not");
        assert_eq!(error.help.unwrap(), "did you mean `name`?");
        one("{% if user.age is defined %}{% endif %}{{ user.items() }}").unwrap().check_fields(known).unwrap();
    }

    #[test]
    fn what_is_missing_is_an_error_and_loops_end() {
        let templates = one("{{ user.x }}").unwrap();
        let values = Fields::from([("user".to_owned(), Value::from(Fields::new()))]);
        let error = templates.render("prompt", &values).unwrap_err();
        assert_eq!(error.message, "the template `prompt` cannot be filled in: undefined value (line 1)");
        let endless = one("{% for a in range(9999) %}{% for b in range(9999) %}{{ a }}{% endfor %}{% endfor %}");
        let error = endless.unwrap().render("prompt", &values).unwrap_err();
        assert!(error.message.contains("does not come to an end"), "{error}");
    }

    #[test]
    fn a_null_is_not_written() {
        let templates = one("a\n{{ user.x }}").unwrap();
        let user = Fields::from([("x".to_owned(), Value::from(()))]);
        let error = templates.render("prompt", &Fields::from([("user".to_owned(), Value::from(user))])).unwrap_err();
        assert_eq!(
            error.message,
            "the template `prompt` cannot be filled in: invalid operation: a value is null (line 2)"
        );
    }

    #[test]
    fn filters_and_functions() {
        let templates = one(
            "{{ ['a', 'b', 'c']|join_and }}; {{ 'apple'|with_article }}; {{ 2|number }}; {{ plural(1, 'x', 'xs') }}; \
             {{ 'it is'|sentence }}; {{ 'a b'|capital }}",
        );
        let text = templates.unwrap().render("prompt", &Fields::new()).unwrap();
        assert_eq!(text, "a, b, and c; an apple; two; x; It is.; A b");
    }
}
