package record

import (
	"context"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// following reads a folder that is being written.
type following struct {
	t testing.TB
	r *Reader
}

func follow(t testing.TB, folder string) *following {
	r := open(t, folder)
	r.Follow(time.Millisecond)
	return &following{t, r}
}

func (f *following) want(want ...string) {
	f.t.Helper()
	for _, w := range want {
		ctx, cancel := context.WithTimeout(f.t.Context(), 30*time.Second)
		e, err := f.r.Next(ctx)
		cancel()
		require.NoError(f.t, err)
		require.Equal(f.t, w, tell(e))
	}
}

// nothing looks several times and finds nothing.
func (f *following) nothing() {
	f.t.Helper()
	if !f.r.begun {
		require.NoError(f.t, f.r.begin(f.t.Context()))
	}
	for range 3 {
		_, err := f.r.next(f.t.Context())
		require.ErrorIs(f.t, err, errIncomplete)
		require.NoError(f.t, f.r.wait(f.t.Context()))
	}
}

// grow appends to a file.
func grow(t testing.TB, path string, b []byte) {
	t.Helper()
	f, err := os.OpenFile(path, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	require.NoError(t, err)
	_, err = f.Write(b)
	require.NoError(t, err)
	require.NoError(t, f.Close())
}

// A segment that is being written is read as far as its frames are complete, wherever the writing
// stands, and beyond its end.
func TestReaderFollow(t *testing.T) {
	folder := t.TempDir()
	f := follow(t, folder)
	f.nothing()
	h := testHeader()
	b := testSegment(t, h, 3)
	parts := partsOf(t, b)
	path := filepath.Join(folder, h.Name()+PartSuffix)
	written := 0
	write := func(to int) { grow(t, path, b[written:to]); written = to }

	for _, p := range parts[:6] {
		write(p.from + 1)
		f.nothing()
		write(p.from + 9)
		f.nothing()
		write(p.to - 1)
		f.nothing()
		write(p.to)
		if p.frame >= 0 && !p.index {
			f.want(lines(p.frame)...)
		}
		f.nothing()
	}

	h.Sequence, h.Started = 8, t0.Add(time.Hour)
	next := testSegment(t, h, 2)
	nextParts := partsOf(t, next)
	nextPath := filepath.Join(folder, h.Name()+PartSuffix)
	grow(t, nextPath, next[:nextParts[2].from]) // opened ahead: only the header
	f.nothing()
	write(parts[7].to)
	f.want(lines(2)...)
	write(parts[8].to)
	f.nothing()
	write(len(b))
	require.NoError(t, os.Rename(path, path[:len(path)-len(".part")]))
	f.nothing()
	grow(t, nextPath, next[nextParts[2].from:nextParts[3].to])
	f.want("damage clock") // the tests' entries of both are of one time
	f.want(lines(0)...)
	f.nothing()

	// It resumes where it was.
	again := follow(t, folder)
	require.NoError(t, again.r.Resume(Cursor{h.Name(), 3, 0}))
	again.want("3 dropped 0")
	again.nothing()

	// A crash leaves half a frame, and the next segment begins.
	grow(t, nextPath, next[nextParts[3].to:nextParts[5].to-1])
	f.nothing()
	h.Sequence, h.Started = 9, t0.Add(2*time.Hour)
	last := testSegment(t, h, 1)
	grow(t, filepath.Join(folder, h.Name()+PartSuffix), last[:partsOf(t, last)[2].from])
	f.nothing()
	grow(t, filepath.Join(folder, h.Name()+PartSuffix), last[partsOf(t, last)[2].from:])
	f.want("damage torn", "damage clock")
	f.want(lines(0)...)
	f.nothing()

	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := f.r.Next(ctx)
	require.ErrorIs(t, err, context.Canceled)
	require.NoError(t, os.RemoveAll(folder))
	_, err = f.r.Next(t.Context())
	require.ErrorIs(t, err, os.ErrNotExist)
}

// A segment that was opened ahead gets its messages and its final name between two looks.
func TestReaderFollowRenamed(t *testing.T) {
	folder := t.TempDir()
	h := testHeader()
	b := testSegment(t, h, 3)
	grow(t, filepath.Join(folder, h.Name()+PartSuffix), b[:partsOf(t, b)[3].to]) // a crash left it
	f := follow(t, folder)
	f.want(lines(0)...)
	f.nothing()
	h.Sequence, h.Started = 8, t0.Add(time.Hour)
	next := testSegment(t, h, 2)
	path := filepath.Join(folder, h.Name()+PartSuffix)
	begun := partsOf(t, next)[2].from
	grow(t, path, next[:begun])
	f.nothing()
	grow(t, path, next[begun:])
	require.NoError(t, os.Rename(path, path[:len(path)-len(".part")]))
	f.want("damage unfinished", "damage clock")
	f.want(lines(0, 1)...)
	f.nothing()
}

// Of two recorders that write to one folder at a time all is read, and each in its order.
func TestReaderFollowRivals(t *testing.T) {
	folder := t.TempDir()
	h := testHeader()
	b := testSegment(t, h, 3)
	parts := partsOf(t, b)
	path := filepath.Join(folder, h.Name()+PartSuffix)
	grow(t, path, b[:parts[3].to])
	f := follow(t, folder)
	f.want(lines(0)...)
	h.Sequence, h.Started = 8, t0.Add(time.Hour)
	other := testSegment(t, h, 3)
	otherParts := partsOf(t, other)
	otherPath := filepath.Join(folder, h.Name()+PartSuffix)
	grow(t, otherPath, other[:otherParts[3].to])
	f.want("damage unfinished", "damage clock")
	f.want(lines(0)...)
	f.nothing()

	grow(t, path, b[parts[3].to:parts[5].to])
	f.want(lines(1)...)
	f.nothing()
	grow(t, otherPath, other[otherParts[3].to:otherParts[5].to])
	f.want(lines(1)...)
	grow(t, path, b[parts[5].to:])
	require.NoError(t, os.Rename(path, path[:len(path)-len(".part")]))
	f.want(lines(2)...)
	grow(t, otherPath, other[otherParts[5].to:])
	f.want(lines(2)...)
	f.nothing()
	require.Empty(t, f.r.unfinished)
	require.Len(t, f.r.streams, 1, "what has its end is over")
}

// A segment that is taken up again goes on where it was: what a sought moment has had begin goes on,
// and damage is not told twice.
func TestReaderFollowTakenUp(t *testing.T) {
	folder := t.TempDir()
	h := testHeader()
	b := segmentOf(t, h, 0, 10, 20, Control{Kind: Down, Received: at(25), Cause: "EOF"}, 30)
	parts := partsOf(t, b)
	b[parts[4].from+20]++ // index and frame of what was received at 10
	b[parts[5].to-1]++
	path := put(t, folder, h.Name()+PartSuffix, b[:parts[7].to])
	f := follow(t, folder)
	f.r.Seek(Event, t0.Add(-time.Hour))
	f.want("0 message at 0", "damage broken", "2 message at 20")
	h.Sequence, h.Started = 8, t0.Add(time.Hour)
	put(t, folder, h.Name()+PartSuffix, segmentOf(t, h, 5))
	f.want("damage unfinished", "damage clock", "0 message at 5")
	f.nothing()
	grow(t, path, b[parts[7].to:])
	f.want("3 down 0", "4 message at 30")
	f.nothing()
}

// A file that is named while it is written is read to its end under the name that it gets.
func TestReaderFollowNamed(t *testing.T) {
	folder := t.TempDir()
	h := testHeader()
	b := testSegment(t, h, 3)
	begun := partsOf(t, b)[3].to
	path := put(t, folder, h.Name()+PartSuffix, b[:begun])
	f := follow(t, path)
	f.want(lines(0)...)
	grow(t, path, b[begun:])
	late := open(t, path)
	require.NoError(t, os.Rename(path, path[:len(path)-len(".part")]))
	f.want(lines(1, 2)...)
	f.nothing()
	require.Equal(t, lines(0, 1, 2), readAll(t, late))
	require.True(t, verify(t, path).OK())
}

// What a pattern matches later is read too, what is gone is no error, and what a recorder has
// opened ahead is nothing.
func TestReaderFollowPattern(t *testing.T) {
	folder := t.TempDir()
	h := testHeader()
	first := put(t, folder, "one/"+h.Name()+Suffix, testSegment(t, h, 1))
	ahead := put(t, folder, "one/"+h.Name()[:len(h.Name())-1]+"8"+PartSuffix, nil)
	for _, pattern := range []string{"/*", "/one/*", "/one/*" + Suffix + "*"} {
		require.Equal(t, lines(0), readAll(t, open(t, folder+pattern)))
	}
	require.Empty(t, readAll(t, open(t, ahead)))
	require.NoError(t, os.Remove(ahead))

	f := follow(t, folder+"/*/*"+Suffix)
	f.want(lines(0)...)
	require.NoError(t, os.Remove(first))
	f.nothing()
	h.Sequence, h.Started = 8, t0.Add(time.Hour)
	put(t, folder, "two/"+h.Name()+Suffix, testSegment(t, h, 2))
	f.want(lines(0, 1)...)
	f.nothing()
}

// What fails is tried again as a whole, and nothing comes twice.
func TestReaderTriesAgain(t *testing.T) {
	folder := t.TempDir()
	h := testHeader()
	put(t, folder, h.Name()+Suffix, testSegment(t, h, 1))
	circle := filepath.Join(folder, "z"+Suffix)
	if err := os.Symlink(circle, circle); err != nil {
		t.Skip("no symbolic links here: ", err)
	}
	r := open(t, folder)
	_, err := r.Next(t.Context())
	require.Error(t, err)
	require.NoError(t, os.Remove(circle))
	require.Equal(t, lines(0), readAll(t, r))
}
