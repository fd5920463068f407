// Package sink feeds existing engines, such as NATS, Kafka and databases, from what a client
// receives, and gives what they hold back to a [tickstorm.Handler]. It has what all of them share;
// each engine is a module of its own.
//
// A [Runner] gives an [Engine] batches of [Row]: each element as it came, with its market, channel,
// symbol and an [ID], and among them a [Notice] for each gap, drop, reconnect and damage. They come
// from a [Folder] of recordings behind a cursor, or from a [Live] client. The recording is the
// buffer: an engine may be down for as long as recordings are kept, and nothing is lost.
//
// # What is guaranteed
//
// From a [Folder] every element that was recorded is given to the engine at least once, or goes to
// the file of dead letters, or the run ends with an error: the cursor moves only behind what the
// engine has confirmed, and outlasts a power cut. After a crash, a stop without patience, or a batch
// that half of was taken, a stretch comes again, itself in order, with the same ids.
//
// From a [Live] source every element is given to the engine at most once. What has no room is
// dropped, counted and told; what is in memory when the process ends is lost without a word.
//
// Elements of one symbol come in the order in which they were received, because all rows of one
// market come in the order of the recording. An engine keeps that order for each symbol, whatever
// fails; between symbols it may not.
//
// A [Lane] drops what its [Watermark] covers, so that the handler is told each element once,
// however often it came. What a process had handled and not saved when it was killed its successor
// handles again, unless the handler keeps the watermark with its own results: see [Watermarks].
//
// A notice comes at least once; one of a damage may come again after a restart.
//
// # Order, watermarks and several recorders
//
// Ids are compared within a segment only. Different markets have different segments, and what one
// runner reads of several markets is merged by receive time, without an order between them that
// would be the same after a restart: nothing rests on it. A recorder writes its segments one after
// the other, in the order of their numbers, also where its clock is put back.
//
// Two recorders of one market that write to one folder have segments that alternate: each keeps its
// own order, and the same event, recorded by both, is two rows, with two ids. A highest id of all
// would take one of them for seen; so there is a mark for each segment, of the last [MaxMarks]. A
// runner that is restarted goes on in every segment that it had read something of and that may still
// grow, which is one that had something in the ten minutes before the newest; what a recorder that
// it had read nothing of has written meanwhile it may miss. Two recorders of one market with folders
// of their own can have segments of the same name. So one recorder, one folder, one runner with a
// cursor of its own, and a stream, topic or table of its own in the engine, is the way to have two.
package sink
