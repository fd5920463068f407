package fanout_test

import (
	"io"
	"net"
	"os"
	"strconv"
	"sync"
	"testing"

	"github.com/tickstorm/tickstorm/internal/leak"
)

// What makes this binary a process that reads: an address to connect to, and how often.
const (
	drainAddress = "TICKSTORM_FANOUT_DRAIN"
	drainCount   = "TICKSTORM_FANOUT_DRAIN_COUNT"
)

// TestMain is also where the processes begin that read what benchmarks write.
func TestMain(m *testing.M) {
	if address := os.Getenv(drainAddress); address != "" {
		n, _ := strconv.Atoi(os.Getenv(drainCount))
		os.Exit(drain(address, n))
	}
	os.Exit(leak.Main(m))
}

// drain reads from n connections until they end.
func drain(address string, n int) int {
	var all sync.WaitGroup
	defer all.Wait()
	for range n {
		conn, err := net.Dial("tcp", address)
		if err != nil {
			return 1
		}
		all.Go(func() {
			defer conn.Close()
			_, _ = io.CopyBuffer(struct{ io.Writer }{io.Discard}, struct{ io.Reader }{conn}, make([]byte, 64<<10))
		})
	}
	return 0
}
