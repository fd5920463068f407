// Package top counts what comes of a feed, by channel and symbol, and shows it: live in a terminal, as
// a line a second, or once.
//
// A [Tally] is the handler of the feed, a [Meter] makes a [Snapshot] of it each second, and a [Model] is
// what bubbletea draws. Nothing of what is shown is worked out where events are handled: the tally counts,
// into memory that is bounded by its table of symbols, and the meter asks it.
package top
