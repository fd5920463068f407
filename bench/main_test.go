package bench_test

import (
	"fmt"
	"os"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/tickstorm/tickstorm/bench"
)

// TestMain is also where the processes of senders begin. It fails the tests if
// goroutines of this module are left behind.
func TestMain(m *testing.M) {
	bench.SenderMain()
	code := m.Run()
	stacks := make([]byte, 1<<20)
	for end := time.Now().Add(5 * time.Second); code == 0; runtime.Gosched() {
		all := string(stacks[:runtime.Stack(stacks, true)])
		_, others, _ := strings.Cut(all, "\n\n") // the first is this one
		if !strings.Contains(others, "tickstorm/") {
			break
		}
		if time.Now().After(end) {
			fmt.Fprintln(os.Stderr, "goroutines left behind:\n"+others)
			code = 1
		}
	}
	os.Exit(code)
}
