package top_test

import (
	"flag"
	"os"
	"testing"
	"time"

	"github.com/tickstorm/tickstorm/internal/leak"
)

var update = flag.Bool("update", false, "write the golden files")

func TestMain(m *testing.M) { os.Exit(leak.Main(m)) }

// patience is a net against hangs.
const patience = time.Minute

// day is when it is.
var day = time.Date(2026, 11, 25, 14, 30, 0, 0, time.UTC)
