// Package postgres stores in PostgreSQL what a [sink.Runner] reads: in a table for each kind of event,
// with a column for each field.
//
// What is recorded in a folder goes into the database that the PG* variables name, as long as it
// comes; started again it goes on where the database has confirmed:
//
//	connection, err := pgx.ParseConfig("") // PGHOST, PGUSER, PGPASSWORD, PGSERVICE and so on
//	engine, err := postgres.NewEngine(postgres.Config{Connection: connection, Schema: "market"})
//	defer engine.Close()
//	folder := sink.NewFolder(sink.FolderConfig{Paths: []string{"recordings"}, Cursor: "postgres.cursor", Follow: 200 * time.Millisecond})
//	runner, err := sink.NewRunner(engine, folder, sink.Config{DeadLetters: "dead.jsonl"})
//	err = runner.Run(ctx)
//
// # What is guaranteed
//
// From a recording: each element is there once, whatever was killed: sink, server, or what is
// between them. The primary key of a row is its place in the recording (segment, message_number,
// element_number), and a batch is a transaction. That holds as long as a server keeps what it has
// confirmed: the engine has a session whose synchronous_commit is off wait for its commits, and warns
// of a server whose fsync is off. Who deletes rows and then has a recording read again gets them
// again.
//
// Within a segment, the order of message_number and element_number is that of the recording; the
// segments of a market are in the order of their names. Two recorders of one market with folders of
// their own can have segments of one name: give each tables of its own, by [Config].Schema or Prefix.
//
// # What is in the tables
//
// [DDL] returns them. The columns are those of [record.Schemas]; what the vendor has not sent, or has
// sent as null, is NULL. A value that does not fit its column, such as a text with a zero byte, is NULL
// too: then unreadable names the column, and the table unknown has the whole element, as it has those
// of channels that nobody knows, and what is broken. An element that is no text at all (not UTF-8, or
// with a zero byte in it) no table takes: it goes to the dead letters, with whatever the server refuses,
// such as a symbol that is too long for an index, or what a trigger of yours rejects.
//
// Prices and sizes are double precision, which is what the feed's numbers are; where the vendor writes
// a decimal number as text it is numeric, digit by digit. A time is a timestamptz, whose unit is the
// microsecond. Where there are nanoseconds a bigint stands beside it: received_ns, and event_ns in
// luld, imbalances and values. Conditions are integer[], levels double precision[][] of price and size.
//
// Rows of gaps say what is missing, and stand among the elements by the same key.
//
// [Hypertable] is tested with a function of its own that stands in for TimescaleDB's create_hypertable, not
// with TimescaleDB: what is known to be right are the call and the key, which has received_time in it.
package postgres
