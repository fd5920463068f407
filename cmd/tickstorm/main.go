// Tickstorm shows, records, replays, serves and checks streams of market data of Polygon.io
// (Massive.com) at a prompt.
//
//	tickstorm sub --demo T.AAPL
//
// "tickstorm --help" lists its verbs, and docs/cli.md in the repository says what stands behind them.
package main

import (
	"context"
	"os"
	_ "time/tzdata" // a static binary finds no zones on a machine that has none
)

func main() {
	os.Exit(process(context.Background(), os.Args[1:]))
}

// process runs a command in the world of the process.
func process(ctx context.Context, args []string) int {
	ctx, hangups, stop := interruptible(ctx)
	defer stop()
	w := system()
	w.hangups = hangups.listen
	return run(ctx, args, w)
}
