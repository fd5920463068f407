package record

import "github.com/klauspost/compress/zstd"

// Level is how hard a recorder tries to make a recording small.
type Level uint8

// The levels, from about those of zstd 3, 1, 7 and 11.
const (
	LevelDefault Level = iota
	LevelFastest
	LevelBetter
	LevelBest
)

func (l Level) zstd() zstd.EncoderLevel {
	switch l {
	case LevelFastest:
		return zstd.SpeedFastest
	case LevelBetter:
		return zstd.SpeedBetterCompression
	case LevelBest:
		return zstd.SpeedBestCompression
	default:
		return zstd.SpeedDefault
	}
}
