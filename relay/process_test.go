package relay

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"time"

	"github.com/tickstorm/tickstorm"
)

// processVariable makes the test binary, started again, a relay: of the feed that the variable
// names, at the address of the second variable, behind the lock of the third.
const (
	processVariable = "TICKSTORM_RELAY_FEED"
	addressVariable = "TICKSTORM_RELAY_ADDRESS"
	lockVariable    = "TICKSTORM_RELAY_LOCK"
)

// process is a relay in a process of its own. It says "standby" while it is one, and where it
// listens. It ends on an interrupt, or when it is killed.
func process() {
	ctx, cancel := signal.NotifyContext(context.Background(), os.Interrupt)
	defer cancel()
	check := func(err error) {
		if err != nil {
			fmt.Println("error", err)
			os.Exit(1)
		}
	}
	s, err := New(Config{
		Upstreams: []tickstorm.Config{{
			Key: "key", Market: tickstorm.Stocks, Feed: tickstorm.Feed(os.Getenv(processVariable)), Proxy: tickstorm.NoProxy,
			Backoff: tickstorm.Backoff{Min: time.Millisecond, Max: 10 * time.Millisecond},
		}},
		Lock: os.Getenv(lockVariable),
	})
	check(err)
	go func() { // Listen waits
		for !s.Stats().Standby {
			time.Sleep(lockPoll)
		}
		fmt.Println("standby")
	}()
	l, err := s.Listen(ctx, "tcp", os.Getenv(addressVariable))
	check(err)
	fmt.Println("listens", l.Addr())
	_ = s.Serve(ctx, l) // it was told to end
}
