package sink

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/tickstorm/tickstorm"
)

// ErrDeadFull: the file of dead letters has as many bytes as it may. Somebody has to look at it.
var ErrDeadFull = errors.New("sink: the file of dead letters is full")

// DeadLetter is a line of the file of dead letters: a row that the engine will never take. After a
// crash a row may be there again, with the same id.
type DeadLetter struct {
	ID       ID               `json:"id"`
	Market   tickstorm.Market `json:"market"`
	Channel  string           `json:"channel,omitempty"`
	Symbol   string           `json:"symbol,omitempty"`
	Received int64            `json:"received"`
	// Error is what the engine said.
	Error string `json:"error"`
	// Raw is the element, as text whatever it is: it need not be valid JSON. What is not UTF-8
	// in it is lost, while Base64 has all of it; that is nil otherwise.
	Raw    string `json:"raw"`
	Base64 []byte `json:"base64,omitempty"`
}

// deadFile is the file of dead letters. Lines are only added.
type deadFile struct {
	file *os.File
	size int64
	max  int64
}

func openDead(path string, most int64) (d *deadFile, err error) {
	if err := makeFolder(filepath.Dir(path)); err != nil {
		return nil, fmt.Errorf("sink: %w", err)
	}
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|os.O_APPEND, 0o644)
	if err != nil {
		return nil, fmt.Errorf("sink: %w", err)
	}
	defer func() {
		if err != nil {
			_ = f.Close() // the error that matters is err
			err = fmt.Errorf("sink: dead letters: %w", err)
		}
	}()
	if err := SyncFolder(filepath.Dir(path)); err != nil {
		return nil, err
	}
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	d = &deadFile{f, info.Size(), most}
	if d.size == 0 {
		return d, nil
	}
	var last [1]byte
	if _, err := f.ReadAt(last[:], d.size-1); err != nil {
		return nil, err
	}
	if last[0] != '\n' { // a crash tore the last line, whose row comes again
		return d, d.write([]byte{'\n'})
	}
	return d, nil
}

func (d *deadFile) write(line []byte) error {
	n, err := d.file.Write(line)
	d.size += int64(n)
	return err
}

// put adds a row, and returns when that outlasts a power cut.
func (d *deadFile) put(row *Row, why error) error {
	letter := DeadLetter{ID: row.ID, Market: row.Market, Channel: row.Channel, Symbol: row.Symbol, Received: row.Received, Error: why.Error(), Raw: string(row.Raw)}
	line, err := json.Marshal(letter)
	if err != nil {
		return err
	}
	var back DeadLetter
	if json.Unmarshal(line, &back) != nil || back.Raw != letter.Raw {
		letter.Base64 = row.Raw
		if line, err = json.Marshal(letter); err != nil {
			return err
		}
	}
	if d.size+int64(len(line))+1 > d.max {
		return fmt.Errorf("%w: %s has %d bytes", ErrDeadFull, d.file.Name(), d.size)
	}
	err = d.write(append(line, '\n'))
	if err == nil {
		err = d.file.Sync()
	}
	if err != nil {
		return fmt.Errorf("sink: dead letters: %w", err)
	}
	return nil
}

func (d *deadFile) close() error { return d.file.Close() }
