package record

import (
	"encoding/binary"
	"hash/crc32"
	"strconv"
	"strings"
	"time"

	"github.com/tickstorm/tickstorm"
)

// This file is what FORMAT.md says of frames and lines in general: numbers, limits and names.

// Version is that of the format: what is in files of another one is not read.
const Version = 1

const (
	// Suffix is how the names of segments end, and PartSuffix how they end while they are written.
	Suffix     = ".tsr.zst"
	PartSuffix = Suffix + ".part"
)

const (
	skippableMagic = 0x184D2A54 // of an index and of a summary
	seekTableMagic = 0x184D2A5E // of a seek table, and its end
	seekableMagic  = 0x8F92EAB1
	zstdMagic      = 0xFD2FB528

	skippableHead = 8 // magic and length of a skippable frame

	// The sync marks that an index and a summary begin with. They are no UTF-8, so that no
	// message has them, not even where zstd leaves it as it is.
	indexMark   = "\x89TSR\xFFI\r\n"
	summaryMark = "\x89TSR\xFFS\r\n"
	markSize    = len(indexMark)
)

const (
	// frameRaw is the length of lines that a frame is closed at. One line alone may be longer.
	frameRaw = 1 << 20
	// maxRaw bounds the lines of a frame, and with them a message.
	maxRaw = 64 << 20
	// maxPacked bounds a compressed frame: zstd adds less than this to what does not compress.
	maxPacked = maxRaw + maxRaw/128

	maxIndex    = 4096 // bytes of an index
	maxChannels = 64   // names in an index
	maxName     = 32   // bytes of a channel's name
	maxMarket   = 255  // bytes of a market's name

	// lineHead bounds what stands before a message in its line.
	lineHead = 20 + 1 + 10 + 1
)

// MaxMessage is the longest message in bytes that a recording holds.
const MaxMessage = maxRaw - lineHead - 1

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

var le = binary.LittleEndian

// segmentName is what a segment is called, in its file's name and in a [Cursor], without Suffix:
// the names of a market's segments sort as they were made.
func segmentName(m tickstorm.Market, started int64, sequence uint64) string {
	n := strconv.FormatUint(sequence, 10)
	return strings.ReplaceAll(string(m), "/", "-") + "-" +
		time.Unix(0, started).UTC().Format("20060102T150405.000Z") + "-" +
		strings.Repeat("0", max(0, 6-len(n))) + n
}

// appendHead appends what stands before a message of n bytes.
func appendHead(dst []byte, received int64, n int) []byte {
	dst = strconv.AppendInt(dst, received, 10)
	dst = append(dst, ' ')
	dst = strconv.AppendInt(dst, int64(n), 10)
	return append(dst, ' ')
}
