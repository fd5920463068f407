package parquet

// Stats is what a [Sink] has done. It is a snapshot.
type Stats struct {
	// Segments and Parts are those that were written, Bytes what the parts have.
	Segments, Parts, Bytes uint64
	// Rows are those of all tables; Gaps and Unknown are those of ev=gaps and ev=unknown among them.
	Rows, Gaps, Unknown uint64
	// UnknownKeys are the keys of events that there is no column for: the elements are in extra.
	UnknownKeys uint64
	// Damages are the places where segments were damaged, which are rows of ev=gaps. A clock that was
	// put back is none.
	Damages uint64
	// Unnamed are files of which nothing says what they are a recording of. Nothing is made of them.
	Unnamed uint64
	// Conflicts are files that have the name of a segment that was done and are not it: of another
	// recording, or what was made of a damaged one. Nothing is made of them.
	Conflicts uint64
	// Gone are the segments that were removed before they were done.
	Gone uint64
	// Open are the segments that were being written when they were looked for last.
	Open int
	// Retries is how many times a segment was tried again.
	Retries uint64
	// Newest is when the last message was received of what is done, in nanoseconds since 1970.
	Newest int64
}
