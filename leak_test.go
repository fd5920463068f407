package tickstorm_test

import (
	"fmt"
	"os"
	"runtime"
	"strings"
	"testing"
	"time"
)

// TestMain fails the run if goroutines of the library, or of its simulator, outlive it.
func TestMain(m *testing.M) {
	code := m.Run()
	if leaked := lingering(10 * time.Second); code == 0 && leaked != "" {
		fmt.Fprintf(os.Stderr, "goroutines are left behind:\n\n%s\n", leaked)
		code = 1
	}
	os.Exit(code)
}

// lingering returns the stacks of the goroutines that are still in code of this module
// after some patience: what has been told to end may take a moment to do so.
func lingering(patience time.Duration) string {
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
