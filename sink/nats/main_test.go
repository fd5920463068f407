package nats_test

import (
	"os"
	"testing"

	"github.com/tickstorm/tickstorm/internal/leak"
)

func TestMain(m *testing.M) { os.Exit(leak.Main(m)) }
