// Package fanout hands the messages of one market to many connections, each of which wants some
// of the topics: the hot half of a relay. It knows no dialogue: who may connect, what is asked
// of it and what is answered are its caller's.
//
// A [Hub] takes each message apart once, finds who wants which element, and puts them into the
// queues of [Outlet] values, whose goroutines write them to their connections as unmasked text
// frames. Elements go out as they came, byte for byte, in arrays of their own.
//
// Nobody waits for an outlet: each has so many bytes, and a policy for what there is no room for.
package fanout
