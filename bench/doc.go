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
// What a market's size costs is measured with option contracts, up to 1.5 million of them
// ([Options]):
//
//	go test ./bench -run '^$' -bench '^BenchmarkSymbols$'        # decoding, by number of symbols
//	go test ./bench -run '^$' -bench SymbolsRatio -benchtime 9x  # a large market beside a small one
//	go test ./bench -run '^$' -bench FirstSight -benchtime 9x    # while all symbols are new
//	go test ./bench -run '^$' -bench Feed -benchtime 9x          # a Queue and its parts
//	go test ./bench -run '^$' -bench 'Interest|Watch'            # what else is kept by symbol
//	make growth                                                  # the first as a picture
//
// Trust ratios more than figures: the speed of a shared machine moves by tens of
// percent within seconds, which strikes both sides of a Contest alike.
package bench
