// Package bench measures the library: how fast messages become events, and how fast
// they come from a socket. It holds what the measurements share: messages to measure
// with ([Corpus]), the engines that decode them ([Engine]), the [Checksum] that proves
// that each of them fills every field, a [Sender] in a process of its own, and the
// [Contest] that compares two ways of doing the same on a machine that has other
// things to do as well.
//
//	go test ./bench -run '^$' -bench Parse    # from bytes in memory to every field
//	go test ./bench -run '^$' -bench Stream   # from a loopback socket to a handler
//	go test ./bench -run '^$' -bench Ratio    # the same, side by side
//
// Trust ratios more than figures: the speed of a shared machine moves by tens of
// percent within seconds, which strikes both sides of a Contest alike.
package bench
