package main

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/alecthomas/kong"
	"github.com/stretchr/testify/require"
)

// grammarOf is what the command line may be.
func grammarOf(t *testing.T) *kong.Kong {
	var c cli
	g, err := newGrammar(context.Background(), &c, newScene(t).world)
	require.NoError(t, err)
	return g
}

// Values for flags that take some, good and bad.
var flagValues = []string{
	"", "0", "1", "-1", "x", "1s", "10ms", "-10m", "09:30", "999999999999999999999", "NaN", "text", "json", "csv", "table", "{sym}", "{", "T", "T,Q",
	"AAPL", "stocks", "crypto", "nonsense", "UTC", "price>1", "sym=AAPL", "max", "127.0.0.1:0", "cut@streaming", "stocks20", "-", "/dev/null/none", "\x00", "é",
}

// TestFlags: whatever flags are put together, the program ends, with a code that is documented, and
// says why it has if it is not 0. TICKSTORM_FLAGS says how many rounds are played.
func TestFlags(t *testing.T) {
	g := grammarOf(t)
	t.Setenv("PGHOST", t.TempDir()) // where no database is
	rounds := 1
	if n, err := strconv.Atoi(os.Getenv("TICKSTORM_FLAGS")); err == nil {
		rounds = n
	}
	documented := []int{exitOK, exitFailure, exitUsage, exitKey, exitPlan, exitEvicted, exitStale, exitInterrupted}
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	r := rand.New(rand.NewPCG(seed, 0))
	source := newScene(t)
	path := demo(t, source)
	for _, verb := range leaves(g.Model.Node) {
		t.Run(pathOf(verb, "-"), func(t *testing.T) {
			t.Chdir(t.TempDir())
			require.NoError(t, os.WriteFile("symbols", []byte("AAPL MSFT"), 0o600))
			flags := flagsOf(verb)
			for i := range rounds * len(flags) {
				args := append(strings.Fields(pathOf(verb, " ")), "--demo", "--demo-rate=1000")
				switch verb.Name { // what would take long, or stay
				case "bench":
					args = append(args, "--events=500", "--rounds=1", "--stream=0s", "--corpus=stocks1")
				case "sub", "top", "record", "sim", "relay", "nats", "kafka", "postgres", "parquet":
					args = append(args, "--for=5ms")
				case "check":
					args = append(args, "--for=5ms", "--wait=200ms")
				case "probe":
					args = append(args, "--wait=20ms", "--market=indices")
				case "replay":
					args = append(args, "--speed=max")
				}
				switch pathOf(verb, "-") {
				case "sim", "relay", "sink-nats":
					args = append(args, "--listen=127.0.0.1:0")
				case "sink-parquet":
					args = append(args, "--to=to")
				}
				// Each flag once with each value before chance takes over.
				picked := []*kong.Flag{flags[i%len(flags)]}
				for range r.IntN(4) {
					picked = append(picked, flags[r.IntN(len(flags))])
				}
				for _, f := range picked {
					name := "--" + f.Name
					switch {
					case slices.Contains([]string{"help", "hook", "admin", "url", "brokers", "demo-rate", "events", "rounds", "loop", "listen", "stream"}, f.Name):
						continue
					case f.IsBool() || f.IsCounter():
						args = append(args, name)
					case len(values(f)) > 0 && r.IntN(2) == 0:
						some := values(f)
						args = append(args, name+"="+some[r.IntN(len(some))])
					default:
						args = append(args, name+"="+flagValues[r.IntN(len(flagValues))])
					}
				}
				for range r.IntN(3) {
					args = append(args, []string{"T.*", "Q.AAPL", "XT.BTC-USD", "AAPL", "T", path, "/dev/null/none", "bash", ""}[r.IntN(9)])
				}
				s := newScene(t)
				s.stdin, s.stdinTerminal, s.stdoutTerminal, s.stderrTerminal = strings.NewReader("AAPL\n"), r.IntN(2) == 0, r.IntN(2) == 0, r.IntN(2) == 0
				ctx, cancel := context.WithCancelCause(t.Context())
				over := time.AfterFunc(500*time.Millisecond, func() { cancel(errInterrupted) })
				done := make(chan int, 1)
				go func() {
					defer func() {
						if r := recover(); r != nil {
							s.err.Write([]byte(fmt.Sprint("PANIC ", r)))
							done <- -1
						}
					}()
					done <- run(ctx, args, s.world)
				}()
				select {
				case code := <-done:
					require.Contains(t, documented, code, "%q: %s", args, s.err)
					if code != exitOK && code != exitInterrupted && verb.Name != "check" {
						require.Contains(t, s.err.String(), "tickstorm: ", "%q", args)
					}
				case <-time.After(patience):
					require.Fail(t, "it does not end", "%q: %s", args, s.err)
				}
				over.Stop()
				cancel(nil)
				left, err := filepath.Glob("*")
				require.NoError(t, err)
				for _, f := range left {
					if f != "symbols" {
						require.NoError(t, os.RemoveAll(f))
					}
				}
			}
		})
	}
}
