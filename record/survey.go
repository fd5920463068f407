package record

import (
	"context"
	"errors"
	"io"
)

// Survey reports on segments by what they say of themselves, in the order of their paths: it reads
// the indices of their frames, and decompresses nothing but headers. That takes a small part of
// [Verify]'s time, and finds no damage but what is between frames; that a footer is right, and that a
// clock went back, it does not see. Paths are as those of [Open]. The error is that of the context, or
// one of a file that cannot be read; what was found until then is returned with it.
func Survey(ctx context.Context, paths ...string) ([]*Report, error) {
	u, err := newUnpacker()
	if err != nil {
		return nil, err
	}
	defer u.close()
	t := trackerOf(ctx)
	return reportsOn(paths, t, func(path string) (*Report, error) { return survey(ctx, path, u, t) })
}

// survey reads the indices of a segment.
func survey(ctx context.Context, path string, u *unpacker, t *tracker) (*Report, error) {
	s, err := openWritten(path, u)
	if err != nil {
		return nil, err
	}
	defer s.close()
	if err := s.elect(); err != nil {
		return nil, err
	}
	v := &inspection{report: &Report{Path: path, Elements: map[string]uint64{}}}
	for {
		if err := ctx.Err(); err != nil {
			return v.report, err
		}
		f, err := s.next()
		var text []byte
		if err == nil && f.kind == headerFrame {
			text, err = s.open(&f)
		}
		var d *Damage
		switch {
		case errors.As(err, &d):
			err = v.damaged(d)
		case err != nil:
		case f.kind == headerFrame:
			err = v.frame(s.segmentReader, &f, text)
		default:
			v.counted(&f)
		}
		if err == io.EOF {
			break
		}
		if err != nil {
			return v.report, err
		}
		t.reached(s.at)
	}
	t.over(s.size)
	v.report.Finished = s.finished
	return v.report, v.known(s)
}
