package relay

import (
	"os"
	"testing"

	"github.com/tickstorm/tickstorm/internal/leak"
)

func TestMain(m *testing.M) {
	if os.Getenv(processVariable) != "" {
		process()
		os.Exit(0)
	}
	os.Exit(leak.Main(m))
}
