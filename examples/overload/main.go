// Overload shows what becomes of a feed that is faster than its handler, under each policy
// of a Queue and without one, as a table in Markdown.
//
//	go run ./examples/overload -for 30s
//
// The handler sleeps now and then. Each policy is measured in a process of its own, whose
// memory is its own too; the simulator is another.
package main

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"log"
	"os"
	"os/exec"
	"os/signal"
	"slices"
	"strings"
	"time"

	"github.com/tickstorm/tickstorm"
	"github.com/tickstorm/tickstorm/examples/internal/simproc"
	"github.com/tickstorm/tickstorm/sim"
)

// policyEnv names the policy that a process is to measure.
const policyEnv = "TICKSTORM_OVERLOAD_POLICY"

// inline is no policy: the handler runs on the goroutine that reads.
const inline = "inline"

var policies = map[string]tickstorm.Overflow{
	"block":       tickstorm.OverflowBlock,
	"drop-newest": tickstorm.OverflowDropNewest,
	"drop-oldest": tickstorm.OverflowDropOldest,
	"conflate":    tickstorm.OverflowConflate,
	"disconnect":  tickstorm.OverflowDisconnect,
}

type options struct {
	length   time.Duration
	rate     int
	sleep    time.Duration
	every    int
	policies []string
}

func main() {
	log.SetFlags(0)
	simproc.Main()
	o, ok := parse()
	if !ok {
		flag.Usage()
		os.Exit(2)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if policy := os.Getenv(policyEnv); policy != "" {
		f, err := measure(ctx, o, policy)
		if err == nil {
			err = json.NewEncoder(os.Stdout).Encode(f)
		}
		if err != nil {
			log.Fatal(policy, ": ", err)
		}
		return
	}
	if err := table(ctx, o); err != nil {
		log.Fatal(err)
	}
}

func parse() (o options, ok bool) {
	var list string
	flag.DurationVar(&o.length, "for", 30*time.Second, "how long to stream under each policy")
	flag.IntVar(&o.rate, "rate", 500_000, "the simulator's events per second")
	flag.DurationVar(&o.sleep, "sleep", 50*time.Millisecond, "how long the handler sleeps")
	flag.IntVar(&o.every, "every", 10_000, "after how many events it sleeps")
	flag.StringVar(&list, "policies", "inline,block,drop-newest,drop-oldest,conflate,disconnect", "which to measure")
	flag.Parse()
	o.policies = strings.Split(list, ",")
	unknown := func(name string) bool {
		_, known := policies[name]
		return !known && name != inline
	}
	return o, flag.NArg() == 0 && o.length > 0 && o.rate > 0 && o.sleep >= 0 && o.every > 0 && !slices.ContainsFunc(o.policies, unknown)
}

// table measures one policy after the other and prints a line for each.
func table(ctx context.Context, o options) error {
	fmt.Println(o.intro())
	fmt.Println()
	fmt.Println("| policy | connection | came a second | handled a second | dropped | conflated | read to handler: p50 | p99 | max | event's time to handler: p50 | p99 | max | most memory |")
	fmt.Println("|---|---|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|")
	for _, policy := range o.policies {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		f, err := apart(policy)
		if err != nil {
			return fmt.Errorf("%s: %w", policy, err)
		}
		fmt.Println(f.line())
	}
	fmt.Println()
	fmt.Println(outro)
	return nil
}

// apart measures in a process of its own. Ctrl-C reaches that too, and ends it early.
func apart(policy string) (f figures, err error) {
	exe, err := os.Executable()
	if err != nil {
		return f, err
	}
	cmd := exec.Command(exe, os.Args[1:]...)
	cmd.Env = append(os.Environ(), policyEnv+"="+policy)
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	if err != nil {
		return f, err
	}
	return f, json.Unmarshal(out, &f)
}

// outro says what the figures do not contain.
var outro = fmt.Sprintf("Every event that came was handled, conflated, or dropped and told; what was queued at the end of the"+
	" stream was handled after it. Times up to the handler are bounds of"+
	" at most 25 %% more, but for the longest; those of the events are the simulator's, in milliseconds. It keeps %d MiB for a"+
	" client that is behind, makes its events later while these are full, which is no part of an event's time, and cuts it off"+
	" after %v of that.", sim.DefaultSendBuffer>>20, sim.DefaultSlowTimeout)

// intro says what is measured, and whether a handler can do it at all.
func (o options) intro() string {
	text := fmt.Sprintf("%s events/s for %v under each policy; the handler sleeps %v every %s events.",
		thousands(uint64(o.rate)), o.length, o.sleep, thousands(uint64(o.every)))
	if o.sleep == 0 {
		return text
	}
	bound := float64(o.every) / o.sleep.Seconds()
	if bound > float64(o.rate) {
		return text + fmt.Sprintf(" It has time for less than %s a second, so that it can keep up if its work is quick.", thousands(uint64(bound)))
	}
	return text + fmt.Sprintf(" So it has time for less than %s a second: it is overloaded for good,"+
		" and a queue of any size only puts off what its policy does then.", thousands(uint64(bound)))
}
