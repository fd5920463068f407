package tickstorm_test

import (
	"fmt"
	"log"
	"time"

	"github.com/tickstorm/tickstorm"
)

// A Histogram is a value: fill it, add others to it, ask for quantiles.
func ExampleHistogram() {
	var h tickstorm.Histogram
	for ms := range 1000 {
		h.Observe(time.Duration(ms) * time.Millisecond)
	}
	fmt.Println(h.Count(), "of", h.Mean(), "on average")
	fmt.Println("half took at most", h.Quantile(0.5)) // or up to a quarter less
	// Output:
	// 1000 of 499.5ms on average
	// half took at most 536.870912ms
}

// A Watch stands before the handler and notes how sequence numbers and symbols fare.
func ExampleWatch() {
	symbols := tickstorm.NewSymbols(0) // shared, to ask for symbols by name
	watch := tickstorm.NewWatch(prices{}, tickstorm.WatchConfig{})

	p := tickstorm.NewParser(tickstorm.Stocks) // of a connection: Config.Symbols, and the Watch for a handler
	p.SetSymbols(symbols)
	p.SetReceived(time.Date(2026, 11, 2, 14, 30, 0, 0, time.UTC).UnixNano())
	message := `[{"ev":"T","sym":"AAPL","p":187.3,"s":100,"q":7},{"ev":"T","sym":"AAPL","p":187.3,"s":100,"q":7}]`
	if err := p.Parse([]byte(message), watch); err != nil {
		log.Fatal(err)
	}

	aapl, _ := watch.Symbol(tickstorm.Trades, symbols.ID("AAPL"))
	fmt.Println(aapl.Symbol, "last", aapl.Sequence, "duplicates", aapl.Duplicates)
	now := time.Date(2026, 11, 2, 14, 31, 0, 0, time.UTC)
	for s := range watch.Stale(now, 30*time.Second) {
		fmt.Println(s.Symbol, "is silent")
	}
	fmt.Println("the feed is silent:", now.Sub(watch.Stats().LastReceived) > 5*time.Second)
	// Output:
	// AAPL 100 at 187.3
	// AAPL 100 at 187.3
	// AAPL last 7 duplicates 1
	// AAPL is silent
	// the feed is silent: true
}
