package sink

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"sync"
)

// Watermark is what a consumer has seen of one lane: the rows that come in one order, such as those
// of a stream, a partition or a subject. What it covers is not told to the handler again.
type Watermark struct {
	// Offset is where in the engine reading goes on, in the engine's own numbers; 0 is its beginning.
	Offset uint64 `json:"offset"`
	// Log names what Offset counts in, such as by when a stream was made; "" if the engine does not
	// say. In one that was made anew under the same name the Offset means nothing, and reading begins
	// at the beginning.
	Log string `json:"log,omitempty"`
	// Marks are what was seen.
	Marks Marks `json:"marks"`
	// Owner is the consumer that has the lane, "" if none has.
	Owner string `json:"owner,omitempty"`
	// Revision is that of what was loaded, or saved last; 0 if nothing was. It is the store's to set.
	Revision uint64 `json:"-"`
}

// ErrFenced: another consumer has saved the lane's watermark since it was loaded.
var ErrFenced = errors.New("sink: another consumer has the lane")

// Watermarks keep the watermarks of lanes. What was handled is saved after it was handled; so what
// is handled when a process dies, and not saved, is handled again. A handler that must not see even
// that twice keeps the watermarks where it keeps what it makes of the events, and has Save write
// both at once: Save is called on the goroutine that called the handler, behind the last event
// that the watermark covers.
//
// Both methods may be called from several goroutines, each lane's from one.
type Watermarks interface {
	// Load returns a lane's watermark, the zero one with Revision 0 if there is none.
	Load(ctx context.Context, lane string) (Watermark, error)
	// Save replaces a lane's watermark and sets its Revision. If another has done so since this
	// Revision, it changes nothing and the error is an [ErrFenced].
	Save(ctx context.Context, lane string, w *Watermark) error
}

// FileWatermarks keep watermarks in a file, which is theirs alone, for consumers that share no
// lanes with those of other processes. Make them with OpenWatermarks.
type FileWatermarks struct {
	mu    sync.Mutex // protects what follows
	file  *stateFile
	lanes map[string]*fileWatermark
}

// fileWatermark is a watermark with its revision, which others are without.
type fileWatermark struct {
	Watermark
	Saved uint64 `json:"revision"`
}

// OpenWatermarks opens a file of watermarks, which need not be there yet. The error is [ErrInUse] if
// another has it.
func OpenWatermarks(path string) (*FileWatermarks, error) {
	file, text, err := openState(path)
	if err != nil {
		return nil, err
	}
	f := &FileWatermarks{file: file, lanes: map[string]*fileWatermark{}}
	if text != nil {
		if err := json.Unmarshal(text, &f.lanes); err != nil {
			_ = file.close() // the error that matters is err
			return nil, fmt.Errorf("sink: %s: %w", path, err)
		}
	}
	return f, nil
}

// Load implements [Watermarks].
func (f *FileWatermarks) Load(_ context.Context, lane string) (Watermark, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	kept := f.lanes[lane]
	if kept == nil {
		return Watermark{}, nil
	}
	w := kept.Watermark
	w.Marks, w.Revision = w.Marks.Clone(), kept.Saved
	return w, nil
}

// Save implements [Watermarks]. It returns when what it wrote outlasts a power cut.
func (f *FileWatermarks) Save(_ context.Context, lane string, w *Watermark) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	kept := f.lanes[lane]
	if kept == nil {
		kept = &fileWatermark{}
	}
	if w.Revision != kept.Saved {
		return ErrFenced
	}
	next := &fileWatermark{*w, kept.Saved + 1}
	next.Marks = w.Marks.Clone()
	f.lanes[lane] = next
	text, err := json.Marshal(f.lanes)
	if err == nil {
		err = f.file.write(text)
	}
	if err != nil {
		f.lanes[lane] = kept
		return err
	}
	w.Revision = next.Saved
	return nil
}

// Close gives the file back.
func (f *FileWatermarks) Close() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.file.close()
}
