package record

import (
	"errors"
	"hash/crc32"
	"io"

	"github.com/klauspost/compress/zstd"
)

// This file takes compressed frames apart, which may be hostile: nothing is decompressed beyond
// what was announced, and nothing is announced beyond what a frame may have.

var (
	errChecksum = errors.New("frame's checksum is wrong")
	errFrame    = errors.New("no frame of a recording")
)

// unpacker decompresses frames. It serves one goroutine at a time.
type unpacker struct {
	dec    *zstd.Decoder
	quick  *zstd.Decoder // for what was checked before: it does not check again
	packed []byte
	// verifies has checksums of frames checked that an index vouches for.
	verifies bool
	frames   int   // decompressed so far
	total    int64 // and the bytes that they were
}

func newUnpacker() (*unpacker, error) {
	options := []zstd.DOption{zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(true),
		zstd.WithDecoderMaxMemory(maxRaw), zstd.WithDecodeAllCapLimit(true)}
	dec, err := zstd.NewReader(nil, options...)
	if err != nil {
		return nil, err
	}
	quick, err := zstd.NewReader(nil, append(options, zstd.IgnoreChecksum(true))...)
	if err != nil {
		dec.Close()
		return nil, err
	}
	return &unpacker{dec: dec, quick: quick}, nil
}

func (u *unpacker) close() {
	u.dec.Close()
	u.quick.Close()
}

// read reads n bytes, which are valid until the next call.
func (u *unpacker) read(r io.ReaderAt, at int64, n int) ([]byte, error) {
	if cap(u.packed) < n || cap(u.packed) > 2*frameRaw && n <= frameRaw {
		u.packed = make([]byte, n)
	}
	u.packed = u.packed[:n]
	if k, err := r.ReadAt(u.packed, at); k < n {
		if err == io.EOF {
			err = errFrame
		}
		return nil, err
	}
	return u.packed, nil
}

// check reads the frame of an index and reports whether it is that.
func (u *unpacker) check(r io.ReaderAt, at int64, x *index) ([]byte, error) {
	b, err := u.read(r, at, x.packed)
	if err == nil && crc32.Checksum(b, castagnoli) != x.sum {
		err = errChecksum
	}
	return b, err
}

// slack is what the decoder wants behind a text to write it without looking after its end at each
// step.
const slack = 32

// unpack decompresses a frame to text, whose memory it may use. Its own checksum is passed over
// where that of its index was right, unless it is to be verified.
func (u *unpacker) unpack(packed, text []byte, raw int, checked bool) ([]byte, error) {
	if cap(text) < raw+slack || cap(text) > 2*frameRaw && raw <= frameRaw {
		text = make([]byte, 0, max(raw, min(2*raw, frameRaw))+slack)
	}
	dec := u.dec
	if checked && !u.verifies {
		dec = u.quick
	}
	text, err := dec.DecodeAll(packed, text[:0:raw+slack])
	u.frames++
	u.total += int64(len(text))
	if err == nil && len(text) != raw {
		err = errFrame
	}
	return text, err
}

// A frame of a recording has few blocks, so that it costs little to find out that what begins
// like one is none.
const maxBlocks = 64 + maxRaw/(16<<10)

// frameLength is how long the compressed frame is that begins at r[at:size], and what it
// decompresses to, by what it says itself.
func frameLength(r io.ReaderAt, at, size int64) (packed, raw int, err error) {
	var b [zstd.HeaderMaxSize]byte
	n, err := r.ReadAt(b[:], at)
	if err != nil && err != io.EOF {
		return 0, 0, err
	}
	var h zstd.Header
	if h.Decode(b[:n]) != nil || h.Skippable || !h.HasFCS || !h.HasCheckSum || h.DictionaryID != 0 ||
		h.FrameContentSize == 0 || h.FrameContentSize > maxRaw {
		return 0, 0, errFrame
	}
	next := at + int64(h.HeaderSize)
	for range maxBlocks {
		if k, err := r.ReadAt(b[:3], next); k < 3 {
			if err == io.EOF {
				err = errFrame
			}
			return 0, 0, err
		}
		block := uint32(b[0]) | uint32(b[1])<<8 | uint32(b[2])<<16
		length := int64(block >> 3)
		if block>>1&3 == 1 { // one byte, repeated
			length = 1
		}
		next += 3 + length
		if next > size || next-at > maxPacked {
			return 0, 0, errFrame
		}
		if block&1 == 1 {
			if next += 4; next > size { // the checksum
				return 0, 0, errFrame
			}
			return int(next - at), int(h.FrameContentSize), nil
		}
	}
	return 0, 0, errFrame
}
