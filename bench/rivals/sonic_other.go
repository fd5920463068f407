//go:build !amd64 && !arm64

package rivals

import (
	"github.com/tickstorm/tickstorm"
	"github.com/tickstorm/tickstorm/bench"
)

// Elsewhere it is encoding/json at best, and does not compile where an int has 32 bits.
const sonicMissing = "it needs amd64 or arm64"

func newSonic(tickstorm.Market) bench.Decoder { return nil }
