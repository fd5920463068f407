// Package parquet makes Parquet files of a recording, for DuckDB, Spark, pandas and whatever else reads
// them, in the layout that they know as hive partitions:
//
//	market=stocks/ev=T/dt=2026-11-25/part-20261125T143000.000Z-000123-000.parquet
//
// The columns are those of [record.Schemas], whose names, types, units and vendor's keys stand in the
// footer too. COLUMNS.md of module record lists them, and [Tables] says what is different here: market
// is a part of the path alone, segment stands before message_number, and extra has an element as it came
// if it has keys that there is no column for.
//
// Times are TIMESTAMP(NANOS, UTC), of which DuckDB 1.5 shows the microseconds. What is absent is NULL. Prices are DOUBLE, as they are in events:
// the shortest digits that read as it are the vendor's, up to the fifteenth; the vendor's decimals are
// DECIMAL(38, 18), exact, and what does not fit in that is named in unreadable. Lists are LIST. An
// ev=gaps has what is missing, and ev=unknown what has no columns, as it came.
//
// A dt is a day of the exchange, since that is what sessions are: in New York for stocks, options and
// indices, in Chicago for futures, in UTC for forex and crypto. It is the day of the event time (of a
// bar, of its start), or of receipt where there is none, or one that is more than 36 hours away from it.
//
// # What is guaranteed
//
// A [Sink] writes whole segments, once they are closed, each into parts of its own: so a part has a name
// that only depends on the segment, and to write it again is to replace it. Parts are written
// beside their names, made to outlast a power cut, opened again and counted; then they are renamed, and
// then a manifest says that the segment is done. Whatever is killed whenever, the next run removes what
// it left and goes on behind the last manifest: in the end each element and each gap of the recording is
// in one row. Between renames a query may see some parts of a segment and not yet the others.
//
// A batch of a [sink.Runner] may end anywhere, and comes again after a crash: files of such
// batches would have rows twice, or need a second pass. This is why a Sink has no Runner and no cursor
// but manifests. Its lock is of the same kind, and its rows have the same ids.
//
// # Order and memory
//
// Rows stand in the order of receipt. With [Config].Sort each row group is sorted by symbol and time, by
// itself, so that memory stays bounded; pages then have few symbols each, and their index tells which.
// [Config].Memory says what memory is needed: 0.2 GB in all was seen for trades and quotes of stocks.
package parquet
