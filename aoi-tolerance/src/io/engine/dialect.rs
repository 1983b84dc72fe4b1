//! Where the engines' SQL differs.

/// A database engine that holds records.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Engine {
    /// `DuckDB` 1.4 or later.
    DuckDb,
    /// `PostgreSQL` 12 or later.
    Postgres,
    /// `ClickHouse` 25 or later.
    ClickHouse,
}

impl Engine {
    /// How the result becomes a file, as comments before the statement.
    pub(super) fn head(self) -> &'static str {
        match self {
            Self::DuckDb => {
                "-- DuckDB: put the statement, without this comment, into  COPY (...) TO 'aggregates.csv' (HEADER);\n\
                 -- then: aoi tolerance import-aggregates aggregates.csv --out limits.csv"
            }
            Self::Postgres => {
                "-- PostgreSQL: psql --csv -f THIS_FILE > aggregates.csv\n\
                 -- then: aoi tolerance import-aggregates aggregates.csv --out limits.csv"
            }
            Self::ClickHouse => {
                "-- ClickHouse: clickhouse-client --queries-file THIS_FILE --format CSVWithNames > aggregates.csv\n\
                 -- then: aoi tolerance import-aggregates aggregates.csv --out limits.csv"
            }
        }
    }

    /// An identifier.
    pub(super) fn quoted(self, name: &str) -> String {
        match self {
            Self::ClickHouse => format!("`{}`", name.replace('\\', "\\\\").replace('`', "\\`")),
            Self::DuckDb | Self::Postgres => format!("\"{}\"", name.replace('"', "\"\"")),
        }
    }

    /// A text.
    pub(super) fn literal(self, text: &str) -> String {
        match self {
            Self::ClickHouse => format!("'{}'", text.replace('\\', "\\\\").replace('\'', "\\'")),
            Self::DuckDb | Self::Postgres => format!("'{}'", text.replace('\'', "''")),
        }
    }

    fn text_type(self) -> &'static str {
        match self {
            Self::DuckDb => "VARCHAR",
            Self::Postgres => "text",
            Self::ClickHouse => "Nullable(String)",
        }
    }

    fn real_type(self) -> &'static str {
        match self {
            Self::DuckDb => "DOUBLE",
            Self::Postgres => "double precision",
            Self::ClickHouse => "Nullable(Float64)",
        }
    }

    /// A number as 64-bit floating point: a bare 0.8 would be a decimal.
    pub(super) fn real(self, number: f64) -> String {
        format!("CAST('{number}' AS {})", self.real_type())
    }

    /// A column of numbers, NULL where there is none.
    pub(super) fn number(self, column: Option<&str>) -> String {
        format!("CAST({} AS {})", column.unwrap_or("NULL"), self.real_type())
    }

    /// A column as text without surrounding blanks, empty for NULL.
    pub(super) fn trimmed(self, column: &str) -> String {
        format!("TRIM(COALESCE(CAST({column} AS {}), ''))", self.text_type())
    }

    /// A column of times, NULL where there is none.
    pub(super) fn time(self, column: Option<&str>) -> String {
        let column = column.unwrap_or("NULL");
        match self {
            Self::DuckDb | Self::Postgres => format!("CAST({column} AS TIMESTAMP WITH TIME ZONE)"),
            Self::ClickHouse => {
                format!("parseDateTime64BestEffortOrNull(CAST({column} AS Nullable(String)), 6, 'UTC')")
            }
        }
    }

    /// Texts joined by a character that no text holds.
    pub(super) fn joined(self, texts: &[&str]) -> String {
        let between = match self {
            Self::ClickHouse => " || char(31) || ",
            Self::DuckDb | Self::Postgres => " || CHR(31) || ",
        };
        format!("({})", texts.join(between))
    }

    /// A placeholder of the statement that this engine has its own words for.
    pub(super) fn expand(self, name: &str, argument: &str) -> String {
        match (name, self) {
            ("finite", Self::DuckDb) => format!("ISFINITE({argument})"),
            ("finite", Self::ClickHouse) => format!("COALESCE(isFinite({argument}), 0)"),
            ("finite", Self::Postgres) => {
                let infinity = format!("CAST('Infinity' AS {})", self.real_type());
                format!("({argument} <> CAST('NaN' AS {}) AND ABS({argument}) <> {infinity})", self.real_type())
            }
            ("text", _) => format!("COALESCE(CAST({argument} AS {}), '')", self.text_type()),
            ("concat", _) => self.joined(&argument.split("; ").collect::<Vec<_>>()),
            ("integer", Self::ClickHouse) => format!("toInt64({argument})"),
            ("integer", _) => format!("CAST({argument} AS BIGINT)"),
            ("list", Self::ClickHouse) => {
                "arrayStringConcat(arrayMap(t -> toString(t.2), arrayReverseSort(groupArray((assumeNotNull(m_), assumeNotNull(value_))))), ' ')".to_owned()
            }
            ("list", _) => format!("STRING_AGG(CAST(value_ AS {}), ' ' ORDER BY m_ DESC)", self.text_type()),
            ("time_text", Self::DuckDb) => {
                format!("STRFTIME({argument} AT TIME ZONE 'UTC', '%Y-%m-%dT%H:%M:%S.%fZ')")
            }
            ("time_text", Self::Postgres) => {
                format!("TO_CHAR({argument} AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.US\"Z\"')")
            }
            ("time_text", Self::ClickHouse) => format!("formatDateTime({argument}, '%Y-%m-%dT%H:%i:%S.%fZ', 'UTC')"),
            // Without these an outer join gives zeros for what is not there, and NULL is written as \N.
            ("settings", Self::ClickHouse) => {
                "\nSETTINGS join_use_nulls = 1, format_csv_null_representation = ''".to_owned()
            }
            _ => String::new(),
        }
    }
}
