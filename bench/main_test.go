package bench_test

import (
	"os"
	"testing"

	"github.com/tickstorm/tickstorm/bench"
	"github.com/tickstorm/tickstorm/internal/leak"
)

// TestMain is also where the processes of senders begin.
func TestMain(m *testing.M) {
	bench.SenderMain()
	os.Exit(leak.Main(m))
}
