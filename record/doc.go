// Package record keeps what a connection sends, as it came, in files that survive a crash, and
// reads them again.
//
// A recording is a folder of segments. Each is a file of independent zstd frames of text lines,
// one line a message, so that "zstdcat segment.tsr.zst" shows it to any tool; between the
// frames stand indices that zstdcat passes over, through which a [Reader] finds a moment and
// steps over damage. FORMAT.md says what each byte is and why.
//
// [Open] reads files, folders and patterns, several markets merged, from a moment or a [Cursor]
// on, and follows what is being written. [Verify] says what is damaged, [Recover] makes a whole
// segment of what is not, [Cut] and [Merge] make one of parts of others. A [Replay] tells a handler
// what was recorded, at any speed; a [Source] has the simulator serve it. [JSONLines] and [CSV]
// convert; [Schemas] are the columns of events. With [WithProgress] they tell how far they have come.
package record
