package sink

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"github.com/tickstorm/tickstorm/record"
)

// FolderConfig says what of which recordings a [Folder] reads.
type FolderConfig struct {
	// Paths are files, folders and patterns, as [record.Open] takes them.
	Paths []string
	// Cursor is the path of the file that keeps how far the engine has confirmed; it is made with
	// its folder. One runner at a time may have it. "" keeps nothing: each run begins anew.
	Cursor string
	// Follow is how often to look for more at the end; 0 ends the run there.
	Follow time.Duration
	// Filter is what of the recordings is wanted. It must be the same for all the cursor's life.
	Filter record.Filter
	// Since has the first run begin at what was received then or later; the zero time is the
	// beginning. Once there is a cursor it says nothing.
	Since time.Time
	// Save is how often at most the cursor is saved, and so how much is repeated after a crash;
	// default 500 ms.
	Save time.Duration
}

// Folder is a [Source] of recordings, at least once: it goes on where the engine has confirmed. It
// is for one run of one [Runner].
type Folder struct {
	cfg    FolderConfig
	reader *record.Reader
	file   *stateFile
	skip   []position // what was confirmed of segments that are read again
	last   string     // the segment of the entry before
	within *position  // of skip, that of last

	confirmed positions
	dirty     bool
	saved     time.Time
}

// NewFolder returns a source that opens nothing until the run.
func NewFolder(cfg FolderConfig) *Folder {
	if cfg.Save <= 0 {
		cfg.Save = 500 * time.Millisecond
	}
	return &Folder{cfg: cfg}
}

// cursorFile is what is in the file of a cursor.
type cursorFile struct {
	Version int              `json:"version"`
	Open    []cursorPosition `json:"open"`
}

type cursorPosition struct {
	Cursor   record.Cursor `json:"cursor"`
	Received int64         `json:"received"`
	Closed   bool          `json:"closed,omitempty"`
}

const cursorVersion = 1

func (f *Folder) begin() (err error) {
	if f.cfg.Cursor != "" {
		var text []byte
		if f.file, text, err = openState(f.cfg.Cursor); err != nil {
			return err
		}
		if err := f.load(text); err != nil {
			_ = f.file.close() // the error that matters is err
			return fmt.Errorf("sink: cursor %s: %w", f.cfg.Cursor, err)
		}
	}
	if f.reader, err = record.Open(f.cfg.Paths...); err == nil {
		if err = f.seek(); err != nil {
			_ = f.reader.Close()
		}
	}
	if err != nil && f.file != nil {
		_ = f.file.close()
	}
	return err
}

func (f *Folder) load(text []byte) error {
	if text == nil {
		return nil
	}
	var c cursorFile
	if err := json.Unmarshal(text, &c); err != nil {
		return err
	}
	if c.Version != cursorVersion {
		return fmt.Errorf("its version is %d and not %d", c.Version, cursorVersion)
	}
	for _, p := range c.Open {
		f.skip = append(f.skip, position{p.Cursor, p.Received, p.Closed})
	}
	return nil
}

func (f *Folder) seek() error {
	f.reader.Filter(f.cfg.Filter)
	if f.cfg.Follow > 0 {
		f.reader.Follow(f.cfg.Follow)
	}
	if f.skip == nil {
		if !f.cfg.Since.IsZero() {
			f.reader.Seek(record.Received, f.cfg.Since)
		}
		return nil
	}
	return f.reader.Resume(positions(f.skip).earliest()...)
}

func (f *Folder) next(ctx context.Context) (*record.Entry, error) { return f.reader.Next(ctx) }

// start is where a run stands before its first entry.
func (f *Folder) start() positions { return slices.Clone(f.skip) }

func (f *Folder) skips(id *ID) bool {
	if f.skip == nil {
		return false
	}
	if id.Segment != f.last {
		f.last, f.within = id.Segment, nil
		for i := range f.skip {
			if f.skip[i].Segment == id.Segment {
				f.within = &f.skip[i]
			}
		}
	}
	p := f.within
	return p != nil && (id.Sequence < p.Sequence || id.Sequence == p.Sequence && id.Element < p.Element && id.Damage == "")
}

func (f *Folder) confirm(after []position, force bool) (saveState, error) {
	if after != nil {
		f.confirmed = append(f.confirmed[:0], after...)
		f.dirty = true
	}
	if f.file == nil || !f.dirty {
		return nothingToSave, nil
	}
	now := time.Now()
	if !force && now.Sub(f.saved) < f.cfg.Save {
		return notYetSaved, nil
	}
	c := cursorFile{Version: cursorVersion, Open: make([]cursorPosition, len(f.confirmed))}
	for i, p := range f.confirmed {
		c.Open[i] = cursorPosition{p.Cursor, p.received, p.closed}
	}
	text, err := json.MarshalIndent(c, "", "\t")
	if err == nil {
		err = f.file.write(append(text, '\n'))
	}
	if err != nil {
		return notYetSaved, err
	}
	f.dirty, f.saved = false, now
	return justSaved, nil
}

func (f *Folder) end() error {
	err := f.reader.Close()
	if f.file != nil {
		if cerr := f.file.close(); err == nil {
			err = cerr
		}
	}
	return err
}

func (f *Folder) dropped() uint64 { return 0 }
