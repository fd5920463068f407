package record

import (
	"context"
	"io"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tickstorm/tickstorm"
)

// TestProgress: work on recordings tells how far it has come, from nothing to all of the files, a frame at
// a time, and then how far what it has written was read again.
func TestProgress(t *testing.T) {
	const frames = 8
	folder := t.TempDir()
	long, short := testSegment(t, testHeader(), frames), testSegment(t, Header{Market: tickstorm.Crypto, Started: t0, Sequence: 1}, 2)
	one := put(t, folder, "a"+Suffix, long)
	put(t, folder, filepath.Join("b", "b"+Suffix), short)
	both := n64(len(long) + len(short))
	to := func() string { return filepath.Join(t.TempDir(), "to"+Suffix) }
	read := func(ctx context.Context, prepare func(*Reader), paths ...string) error {
		r := open(t, paths...)
		prepare(r)
		for _, err := range r.All(ctx) {
			if err != nil {
				return err
			}
		}
		return nil
	}
	for _, c := range []struct {
		name   string
		total  int64
		steps  int
		writes bool
		do     func(ctx context.Context) error
	}{
		{"Verify", both, frames + 2, false, func(ctx context.Context) error { _, err := Verify(ctx, folder); return err }},
		{"Survey", both, frames + 2, false, func(ctx context.Context) error { _, err := Survey(ctx, folder); return err }},
		{"Recover", n64(len(long)), frames, true, func(ctx context.Context) error { _, err := Recover(ctx, to(), one); return err }},
		{"Cut", n64(len(long)), frames - 2, true, func(ctx context.Context) error {
			_, err := Cut(ctx, to(), t0.Add(250*time.Millisecond), t0.Add(450*time.Millisecond), one)
			return err
		}},
		{"Merge", n64(len(long)), frames, true, func(ctx context.Context) error { _, err := Merge(ctx, to(), one); return err }},
		{"CSV", both, frames + 2, false, func(ctx context.Context) error { _, err := CSV(ctx, t.TempDir(), open(t, folder)); return err }},
		{"JSONLines", both, frames + 2, false, func(ctx context.Context) error {
			_, err := JSONLines(ctx, io.Discard, open(t, folder))
			return err
		}},
		{"a filter of nothing", both, frames + 2, false, func(ctx context.Context) error {
			return read(ctx, func(r *Reader) { r.Filter(Filter{Channels: []string{"none"}}) }, folder)
		}},
		{"another market", n64(len(short)), 2, false, func(ctx context.Context) error {
			return read(ctx, func(r *Reader) { r.Filter(Filter{Markets: []tickstorm.Market{tickstorm.Crypto}}) }, folder)
		}},
		{"from a moment on", both, 3, false, func(ctx context.Context) error {
			return read(ctx, func(r *Reader) { r.Seek(Received, t0.Add(time.Hour)) }, folder)
		}},
		{"nothing", 0, 0, false, func(ctx context.Context) error { _, err := Verify(ctx, t.TempDir()); return err }},
	} {
		t.Run(c.name, func(t *testing.T) {
			var told []Progress
			ctx := WithProgress(t.Context(), func(p Progress) { told = append(told, p) })
			require.NoError(t, c.do(ctx))
			end := slices.IndexFunc(told, func(p Progress) bool { return p.Checking })
			require.Equal(t, c.writes, end >= 0)
			parts := [][]Progress{told}
			if c.writes {
				parts = [][]Progress{told[:end], told[end:]}
			}
			require.Equal(t, Progress{Total: c.total}, parts[0][0], "nothing is done at the beginning")
			require.GreaterOrEqual(t, len(parts[0]), min(c.steps, 1)+1)
			if c.name != "from a moment on" {
				require.Greater(t, len(parts[0]), c.steps, "it is told of each frame")
			}
			for _, part := range parts {
				last := part[len(part)-1]
				require.Equal(t, last.Total, last.Done, "all is done at the end")
				require.True(t, slices.IsSortedFunc(part, func(a, b Progress) int { return int(a.Done - b.Done) }))
				for _, p := range part {
					require.Equal(t, last.Total, p.Total)
					require.Equal(t, last.Checking, p.Checking)
				}
			}
		})
	}
	// Where nobody wants to know, and where it breaks off.
	_, err := Verify(WithProgress(t.Context(), nil), folder)
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(t.Context())
	var last Progress
	_, err = Verify(WithProgress(ctx, func(p Progress) {
		last = p
		if p.Done > 0 {
			cancel()
		}
	}), folder)
	require.ErrorIs(t, err, context.Canceled)
	require.Less(t, last.Done, both)
	require.Positive(t, last.Done)
	r := open(t, folder)
	told := 0
	_, err = r.Next(WithProgress(t.Context(), func(Progress) { told++ }))
	require.NoError(t, err)
	was := told
	require.NoError(t, r.Close())
	require.Equal(t, was, told, "nothing is told of what is not read")
}

// TestProgressFollows: what is written while it is read counts as well.
func TestProgressFollows(t *testing.T) {
	folder := t.TempDir()
	whole := testSegment(t, testHeader(), 3)
	parts := partsOf(t, whole)
	half := parts[len(parts)/2].to
	path := put(t, folder, "a"+PartSuffix, whole[:half])
	var last Progress
	ctx := WithProgress(t.Context(), func(p Progress) {
		require.LessOrEqual(t, p.Done, p.Total)
		require.GreaterOrEqual(t, p.Done, last.Done)
		last = p
	})
	r := open(t, folder)
	r.Follow(time.Millisecond)
	for messages := 0; messages < 12; {
		e, err := r.Next(ctx)
		require.NoError(t, err)
		if e.Raw == nil {
			continue
		}
		switch messages++; messages {
		case 1:
			require.EqualValues(t, half, last.Total)
			grow(t, path, whole[half:])
		case 9:
			require.Greater(t, last.Total, n64(half), "what has grown counts")
			h := testHeader()
			h.Sequence, h.Started = 8, t0.Add(time.Second)
			next := segmentOf(t, h, 2000, 2100, 2200)
			put(t, folder, "b"+Suffix, next)
		}
	}
	require.Greater(t, last.Done, n64(len(whole)), "and so does a segment that was not there")
}
