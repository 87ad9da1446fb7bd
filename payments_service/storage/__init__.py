"""The database: tables, transactions and every SQL statement; the only place that knows two dialects."""
