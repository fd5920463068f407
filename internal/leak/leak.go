// Package leak fails a test run that leaves goroutines of this module behind.
package leak

import (
	"fmt"
	"os"
	"runtime"
	"strings"
	"testing"
	"time"
)

const patience = time.Minute // for what has been told to end and takes a moment; longer on a busy machine

// Main runs the tests and returns the exit code: 1 if they have passed but goroutines
// of this module outlive them, whose stacks it prints.
func Main(m *testing.M) int {
	code := m.Run()
	if code != 0 {
		return code
	}
	if leaked := lingering(); leaked != "" {
		fmt.Fprintf(os.Stderr, "goroutines are left behind:\n\n%s\n", leaked)
		return 1
	}
	return 0
}

func lingering() string {
	buf := make([]byte, 1<<20)
	for deadline := time.Now().Add(patience); ; time.Sleep(time.Millisecond) {
		var leaked []string
		all := string(buf[:runtime.Stack(buf, true)])
		_, others, _ := strings.Cut(all, "\n\n") // the first is this one
		for stack := range strings.SplitSeq(others, "\n\n") {
			if strings.Contains(stack, "github.com/tickstorm/tickstorm") {
				leaked = append(leaked, stack)
			}
		}
		if len(leaked) == 0 || time.Now().After(deadline) {
			return strings.Join(leaked, "\n\n")
		}
	}
}
