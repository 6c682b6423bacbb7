//! Statements that carry the name of their function, and rows that say which column is wrong.

use crate::lent::Patience;
use crate::{Error, Keys};
use berth_domain::Timestamp;
use futures_util::{StreamExt, TryFutureExt};
use serde::{Serialize, de::DeserializeOwned};
use sqlx::any::{AnyArguments, AnyRow};
use sqlx::{Any, AnyConnection, Encode, Row, Type};

/// A statement whose text begins with the function's name, so that the database's own
/// statistics lead back to the code.
macro_rules! sql {
    ($name:literal, $($text:tt)+) => {
        $crate::sql::Statement::new($name, concat!("/* ", $name, " */ ", $($text)+))
    };
}

/// Gives `Store` and `Tx` the same reading methods, each over the function of that name.
macro_rules! reads {
    ($($(#[$doc:meta])* fn $name:ident($($arg:ident: $ty:ty),* $(,)?) -> $ret:ty;)+) => {
        impl $crate::Store {
            $($(#[$doc])*
            pub async fn $name(&self, $($arg: $ty),*) -> Result<$ret, $crate::Error> {
                let mut reader = self.reader().await?;
                $name(&mut reader.link(), $($arg),*).await
            })+
        }
        impl $crate::Tx {
            $($(#[$doc])*
            pub async fn $name(&mut self, $($arg: $ty),*) -> Result<$ret, $crate::Error> {
                $name(&mut self.link(), $($arg),*).await
            })+
        }
    };
}

/// A connection and the keys that open its sealed columns.
pub(crate) struct Link<'a> {
    pub(crate) conn: &'a mut AnyConnection,
    pub(crate) keys: &'a Keys,
    pub(crate) patience: &'a mut Patience,
}

/// One statement and its arguments.
pub(crate) struct Statement<'q> {
    act: &'static str,
    query: sqlx::query::Query<'q, Any, AnyArguments>,
}

impl<'q> Statement<'q> {
    pub(crate) fn new(act: &'static str, text: &'static str) -> Self {
        Self {
            act,
            query: sqlx::query(text),
        }
    }

    pub(crate) fn bind<T: 'q + Encode<'q, Any> + Type<Any>>(mut self, value: T) -> Self {
        self.query = self.query.bind(value);
        self
    }

    pub(crate) fn bind_time(self, at: Timestamp) -> Self {
        self.bind(at.as_millis())
    }

    pub(crate) fn bind_optional_time(self, at: Option<Timestamp>) -> Self {
        self.bind(at.map(Timestamp::as_millis))
    }

    /// What each row is read as. A row is gone before the next but few is there: as the driver
    /// holds them they take many times the room of what is read.
    pub(crate) async fn each<T>(
        self,
        link: &mut Link<'_>,
        mut read: impl FnMut(&AnyRow) -> Result<T, Error>,
    ) -> Result<Vec<T>, Error> {
        let act = self.act;
        let mut rows = self.query.fetch(&mut *link.conn);
        let all = async {
            let mut found = Vec::new();
            while let Some(row) = rows.next().await {
                let row = row.map_err(|source| Error::of_statement(act, source))?;
                found.push(read(&row)?);
            }
            Ok(found)
        };
        link.patience.bound(all).await
    }

    pub(crate) async fn optional(self, link: &mut Link<'_>) -> Result<Option<AnyRow>, Error> {
        let act = self.act;
        let row = self.query.fetch_optional(&mut *link.conn);
        let row = row.map_err(|source| Error::of_statement(act, source));
        link.patience.bound(row).await
    }

    pub(crate) async fn one(self, link: &mut Link<'_>) -> Result<AnyRow, Error> {
        let act = self.act;
        let row = self.query.fetch_one(&mut *link.conn);
        let row = row.map_err(|source| Error::of_statement(act, source));
        link.patience.bound(row).await
    }

    /// Runs it and tells how many rows it touched.
    pub(crate) async fn execute(self, link: &mut Link<'_>) -> Result<u64, Error> {
        let act = self.act;
        let done = self.query.execute(&mut *link.conn);
        let done = done.map_err(|source| Error::of_statement(act, source));
        let done = link.patience.bound(done).await?;
        Ok(done.rows_affected())
    }
}

/// A stored word, number or document that has no meaning here.
#[derive(Debug, thiserror::Error)]
#[error("it has no meaning here")]
struct Meaningless;

/// A row of a table that is known by name.
pub(crate) struct Fields<'r> {
    table: &'static str,
    row: &'r AnyRow,
}

impl<'r> Fields<'r> {
    pub(crate) fn of(table: &'static str, row: &'r AnyRow) -> Self {
        Self { table, row }
    }

    fn unreadable(
        &self,
        column: &'static str,
        source: impl Into<Box<dyn std::error::Error + Send + Sync>>,
    ) -> Error {
        Error::Unreadable {
            table: self.table,
            column,
            source: source.into(),
        }
    }

    pub(crate) fn text(&self, column: &'static str) -> Result<String, Error> {
        self.row
            .try_get(column)
            .map_err(|e| self.unreadable(column, e))
    }

    pub(crate) fn optional_text(&self, column: &'static str) -> Result<Option<String>, Error> {
        self.row
            .try_get(column)
            .map_err(|e| self.unreadable(column, e))
    }

    pub(crate) fn integer(&self, column: &'static str) -> Result<i64, Error> {
        self.row
            .try_get(column)
            .map_err(|e| self.unreadable(column, e))
    }

    pub(crate) fn optional_integer(&self, column: &'static str) -> Result<Option<i64>, Error> {
        self.row
            .try_get(column)
            .map_err(|e| self.unreadable(column, e))
    }

    /// An integer of a narrower type.
    pub(crate) fn narrow<T: TryFrom<i64>>(&self, column: &'static str) -> Result<T, Error> {
        T::try_from(self.integer(column)?).map_err(|_| self.unreadable(column, Meaningless))
    }

    pub(crate) fn optional_narrow<T: TryFrom<i64>>(
        &self,
        column: &'static str,
    ) -> Result<Option<T>, Error> {
        self.optional_integer(column)?
            .map(|n| T::try_from(n).map_err(|_| self.unreadable(column, Meaningless)))
            .transpose()
    }

    pub(crate) fn flag(&self, column: &'static str) -> Result<bool, Error> {
        Ok(self.integer(column)? != 0)
    }

    pub(crate) fn time(&self, column: &'static str) -> Result<Timestamp, Error> {
        self.integer(column).map(Timestamp::from_millis)
    }

    pub(crate) fn optional_time(&self, column: &'static str) -> Result<Option<Timestamp>, Error> {
        Ok(self.optional_integer(column)?.map(Timestamp::from_millis))
    }

    /// A text that is read by its type's own parser.
    pub(crate) fn parsed<T, E>(
        &self,
        column: &'static str,
        parse: impl Fn(&str) -> Result<T, E>,
    ) -> Result<T, Error>
    where
        E: std::error::Error + Send + Sync + 'static,
    {
        parse(&self.text(column)?).map_err(|e| self.unreadable(column, e))
    }

    pub(crate) fn optional_parsed<T, E>(
        &self,
        column: &'static str,
        parse: impl Fn(&str) -> Result<T, E>,
    ) -> Result<Option<T>, Error>
    where
        E: std::error::Error + Send + Sync + 'static,
    {
        self.optional_text(column)?
            .map(|text| parse(&text).map_err(|e| self.unreadable(column, e)))
            .transpose()
    }

    /// One word of a known few.
    pub(crate) fn word<T>(
        &self,
        column: &'static str,
        read: impl Fn(&str) -> Option<T>,
    ) -> Result<T, Error> {
        read(&self.text(column)?).ok_or_else(|| self.unreadable(column, Meaningless))
    }

    pub(crate) fn json<T: DeserializeOwned>(&self, column: &'static str) -> Result<T, Error> {
        serde_json::from_str(&self.text(column)?).map_err(|e| self.unreadable(column, e))
    }

    pub(crate) fn optional_json<T: DeserializeOwned>(
        &self,
        column: &'static str,
    ) -> Result<Option<T>, Error> {
        self.optional_text(column)?
            .map(|text| serde_json::from_str(&text).map_err(|e| self.unreadable(column, e)))
            .transpose()
    }

    /// For a value whose parts do not fit together.
    pub(crate) fn meaningless(&self, column: &'static str) -> Error {
        self.unreadable(column, Meaningless)
    }
}

/// The JSON of a value made of texts, numbers and collections of them.
pub(crate) fn to_json<T: Serialize>(
    table: &'static str,
    column: &'static str,
    value: &T,
) -> Result<String, Error> {
    serde_json::to_string(value).map_err(|source| Error::Unreadable {
        table,
        column,
        source: source.into(),
    })
}
