package nats_test

import (
	"context"
	"errors"
	"path/filepath"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tickstorm/tickstorm/sink"
	sinknats "github.com/tickstorm/tickstorm/sink/nats"
)

// refusing are watermarks that cannot be saved while they refuse.
type refusing struct {
	sink.Watermarks
	mu      sync.Mutex
	refuse  bool
	refused chan struct{}
}

func (r *refusing) Save(ctx context.Context, lane string, w *sink.Watermark) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if !r.refuse {
		return r.Watermarks.Save(ctx, lane, w)
	}
	select {
	case r.refused <- struct{}{}:
	default:
	}
	return errors.New("the disk is full")
}

func (r *refusing) set(refuse bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.refuse = refuse
}

// TestUnsaved: while watermarks cannot be saved nothing is handled, since whoever takes the partition
// would handle it again.
func TestUnsaved(t *testing.T) {
	cluster := start(t, 1)
	dir := t.TempDir()
	tp := newTape(t, dir)
	s := goSink(t, connect(t, cluster), dir, "", true, sinknats.Config{})
	b := newBooks()
	file, err := sink.OpenWatermarks(filepath.Join(t.TempDir(), "marks"))
	require.NoError(t, err)
	defer file.Close()
	marks := &refusing{Watermarks: file, refused: make(chan struct{})}
	consumer := goConsumer(t, connect(t, cluster), sinknats.ConsumerConfig{Handler: ear{books: b}, Watermarks: marks})
	tp.say(10)
	b.await(t, tp.said())
	marks.set(true)
	tp.say(1) // so that there is something to save
	<-marks.refused
	handled := b.count()
	for range 20 {
		tp.say(10)
		<-marks.refused
	}
	require.Equal(t, handled, b.count())
	marks.set(false)
	b.whole(t, tp.said(), 0, 1)
	s.halt(t)
	consumer.halt(t)
}
