package postgres

// Stats is what an [Engine] has done. It is a snapshot.
type Stats struct {
	// Rows are those that were stored, in all tables, and Repeated those that were there already.
	Rows, Repeated uint64
	// Notices are the rows of gaps among what was given, Unknown those of unknown, and Unreadable the
	// elements with a value that does not fit, which are in unknown too. What is tried again counts
	// again.
	Notices, Unknown, Unreadable uint64
	// UnknownKeys are members of elements that no column is for: the vendor has begun to send them.
	// They are in the recording alone.
	UnknownKeys uint64
	// Connections is how many times the engine has connected, Partitions how many it has made.
	Connections, Partitions uint64
}
