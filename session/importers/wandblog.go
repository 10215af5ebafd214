package importers

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"slices"
	"strings"
)

// A .wandb file is a log of LevelDB's format: after seven bytes that name the file,
// blocks of 32 KiB hold chunks, each with the CRC-32 of type and data in four bytes
// (that of IEEE 802.3, where LevelDB takes Castagnoli's), the length in two and the
// type in one. A record is one chunk, or a first, some middle and a last one; what
// is left of a block that has no room for a chunk's head is zero.
//
// https://github.com/google/leveldb/blob/main/doc/log_format.md
const (
	wandbHeader = 7
	wandbBlock  = 32 << 10
	chunkHead   = 7

	chunkZero   = 0
	chunkFull   = 1
	chunkFirst  = 2
	chunkMiddle = 3
	chunkLast   = 4
)

// wandbMagic begins a file: an identifier and a number. A version follows.
var wandbMagic = []byte{':', 'W', '&', 'B', 0xe1, 0xbe}

func isWandbLog(head []byte) bool {
	n := min(len(head), len(wandbMagic))
	return n > 0 && bytes.Equal(head[:n], wandbMagic[:n])
}

func sniffWandbLog(head []byte) int {
	switch {
	case !isWandbLog(head):
		return 0
	case len(head) < len(wandbMagic):
		return 60
	}
	return 100
}

// wandbReader reads the records of a .wandb file into a series.
type wandbReader struct {
	*series
	in      *window
	records int
	parts   []byte // of the record in hand
	open    bool   // there is one: its first chunk was read
	large   bool   // it is not kept

	parser  jsonParser
	path    []byte
	others  []string // keys without numbers
	summary []sample
	exited  bool
	noStep  float64 // the step of a record that has none
}

// scanWandbLog reads the log that W&B keeps of a run on its machine: a row a record
// of history, by its step, and the configuration in columns config/…. Keys of
// nested values are joined with "/". Reading ends where a checksum fails or the file
// does; texts, pictures, histograms and measurements of the machine are left out.
func scanWandbLog(j *job) error {
	j.in.binary = true
	r := &wandbReader{series: newSeries(j), in: j.in}
	if err := r.scan(); err != nil {
		return err
	}
	if r.rows == 0 {
		if j.asPart {
			return errors.New("no history is in it")
		}
		r.note("no history is in it")
	}
	if !r.exited {
		r.note("the log does not say that the run ended: it is running, or was killed")
	}
	if len(r.others) > 0 {
		r.note("keys without numbers are left out: %s", some(r.others))
	}
	if r.rows > 0 {
		r.addSummary()
	}
	r.finish()
	return nil
}

// addSummary sets what only the summary has in the last row.
func (r *wandbReader) addSummary() {
	var names []string
	for _, v := range r.summary {
		if c := r.job.cols.list[v.column]; c.rows == 0 {
			r.set(v.column, v.v)
			names = append(names, fmt.Sprintf("%q", cut(c.name)))
		}
	}
	if len(names) > 0 {
		r.note("values of the run's summary stand in the last row: %s", some(names))
	}
}

func (r *wandbReader) scan() error {
	ok, err := r.in.fill(wandbHeader, 1)
	if err != nil {
		return err
	}
	if !ok {
		r.damaged("the file ends within its header")
		return nil
	}
	if b := r.in.rest(); !isWandbLog(b) {
		return errors.New("the file does not begin as a .wandb file does")
	}
	r.in.skip(wandbHeader)
	for !r.full {
		done, err := r.chunk()
		if done || err != nil {
			return err
		}
	}
	return nil
}

// chunk reads the next chunk. It reports whether reading ends there.
func (r *wandbReader) chunk() (done bool, err error) {
	left := wandbBlock - int(r.in.passed%wandbBlock)
	if left < chunkHead {
		if ok, err := r.in.fill(left, r.records+1); err != nil || !ok {
			return true, err
		}
		r.in.skip(left)
		return false, nil
	}
	ok, err := r.in.fill(chunkHead, r.records+1)
	if err != nil {
		return true, err
	}
	b := r.in.rest()
	if !ok {
		if len(b) > 0 || r.open {
			r.damaged("the file ends within a record")
		}
		return true, nil
	}
	sum, n, kind := binary.LittleEndian.Uint32(b), int(binary.LittleEndian.Uint16(b[4:])), b[6]
	if kind == chunkZero && n == 0 && sum == 0 {
		// A writer that set room aside leaves zeros.
		if ok, err := r.in.fill(left, r.records+1); err != nil || !ok {
			return true, err
		}
		r.in.skip(left)
		return false, nil
	}
	if kind > chunkLast || n > left-chunkHead {
		r.damaged("the head of a record is damaged")
		return true, nil
	}
	if ok, err = r.in.fill(chunkHead+n, r.records+1); err != nil {
		return true, err
	}
	if !ok {
		r.damaged("the file ends within a record")
		return true, nil
	}
	b = r.in.rest()
	if crc32.ChecksumIEEE(b[6:chunkHead+n]) != sum {
		r.damaged("the checksum of a record is wrong")
		return true, nil
	}
	data := b[chunkHead : chunkHead+n]
	if (kind == chunkMiddle || kind == chunkLast) != r.open {
		r.damaged("a part of a record is missing")
		return true, nil
	}
	switch kind {
	case chunkFull:
		done = r.take(data)
	case chunkFirst:
		r.parts, r.open, r.large = append(r.parts[:0], data...), true, false
	case chunkMiddle, chunkLast:
		if r.large = r.large || len(r.parts)+n > maxEvent; !r.large {
			r.parts = append(r.parts, data...)
		}
		if kind == chunkLast {
			r.open = false
			if r.large {
				r.records++
			} else {
				done = r.take(r.parts)
			}
		}
	}
	if !done {
		r.in.skip(chunkHead + n)
	}
	return done, nil
}

// put1 takes a whole record, and reports whether it is none.
func (r *wandbReader) take(b []byte) (done bool) {
	r.line = r.records + 1
	if !r.record(b) {
		r.damaged("a record is none of W&B's")
		return true
	}
	r.records++
	return false
}

// damaged notes where reading ends.
func (r *wandbReader) damaged(what string) {
	r.job.damaged(fmt.Errorf("record %d, byte %d: %s", r.records+1, r.in.passed, what))
}

// record reads
//
//	Record        {history: HistoryRecord = 2, summary: SummaryRecord = 3, config: ConfigRecord = 5, run: RunRecord = 17, exit: RunExitRecord = 18}
//	RunRecord     {config: ConfigRecord = 4, summary: SummaryRecord = 5, display_name: string = 8, sweep_id: string = 12}
//	RunExitRecord {exit_code: int32 = 1}
func (r *wandbReader) record(b []byte) bool {
	var f protoField
	for len(b) > 0 {
		var ok bool
		if b, ok = protoNext(b, &f); !ok {
			return false
		}
		if f.wire != 2 {
			continue
		}
		switch f.number {
		case 2:
			ok = r.history(f.bytes)
		case 3:
			ok = r.summarise(f.bytes)
		case 5:
			ok = r.configItems(f.bytes)
		case 17:
			ok = r.run(f.bytes)
		case 18:
			r.exited = true
			r.configure("exit_code", "0")
			var code protoField
			if _, more := protoNext(f.bytes, &code); more && code.number == 1 && code.wire == 0 {
				r.configure("exit_code", fmt.Sprint(int32(code.n)))
			}
		}
		if !ok {
			return false
		}
	}
	return true
}

func (r *wandbReader) run(b []byte) bool {
	var f protoField
	for len(b) > 0 {
		var ok bool
		if b, ok = protoNext(b, &f); !ok {
			return false
		}
		if f.wire != 2 {
			continue
		}
		switch f.number {
		case 4:
			ok = r.configItems(f.bytes)
		case 5:
			ok = r.summarise(f.bytes)
		case 8:
			r.configure("display_name", strings.ToValidUTF8(string(f.bytes), "�"))
		case 12:
			r.configure("sweep_id", strings.ToValidUTF8(string(f.bytes), "�"))
		}
		if !ok {
			return false
		}
	}
	return true
}

// item reads
//
//	HistoryItem {key: string = 1, nested_key: repeated string = 2, value_json: string = 16}
//
// as which the items of summaries and configurations are made too.
func (r *wandbReader) item(b []byte) (key, value []byte, ok bool) {
	var f protoField
	r.path = r.path[:0]
	for len(b) > 0 {
		if b, ok = protoNext(b, &f); !ok {
			return nil, nil, false
		}
		switch f.number<<3 | f.wire {
		case 1<<3 | 2, 2<<3 | 2:
			if len(r.path) > 0 {
				r.path = append(r.path, '/')
			}
			r.path = append(r.path, f.bytes...)
		case 16<<3 | 2:
			value = f.bytes
		}
	}
	return r.path, value, true
}

// items calls each for the items in field number of b.
func (r *wandbReader) items(b []byte, number int, each func(key, value []byte)) bool {
	var f protoField
	for len(b) > 0 {
		var ok bool
		if b, ok = protoNext(b, &f); !ok {
			return false
		}
		if f.number != number || f.wire != 2 {
			continue
		}
		key, value, ok := r.item(f.bytes)
		if !ok {
			return false
		}
		if len(key) > 0 && !bytes.Equal(key, []byte("_wandb")) && !bytes.HasPrefix(key, []byte("_wandb/")) {
			each(key, value)
		}
	}
	return true
}

// history reads {item: repeated HistoryItem = 1, step: HistoryStep {num: int64 = 1} = 2}.
func (r *wandbReader) history(b []byte) bool {
	r.cells = r.cells[:0]
	step, stepped := r.noStep, false
	ok := r.items(b, 1, func(key, value []byte) {
		if bytes.Equal(key, []byte("_step")) {
			if v, ok := wandbNumber(value); ok && !stepped {
				step = v
			}
			return
		}
		r.leaves(key, value, func(key, value []byte) {
			if v, ok := wandbNumber(value); ok {
				r.cells = append(r.cells, sample{column: r.columnOf(key), v: v})
			} else {
				r.other(key)
			}
		})
	})
	var n protoField
	if at, found := protoBytes(b, 2); found && ok {
		// A step of 0 is not written.
		step, stepped = 0, true
		if _, more := protoNext(at, &n); more && n.number == 1 && n.wire == 0 {
			step = float64(int64(n.n))
		}
	}
	if !ok {
		r.cells = r.cells[:0]
		return false
	}
	r.put(step)
	r.noStep = step + 1
	return true
}

func (r *wandbReader) summarise(b []byte) bool {
	return r.items(b, 1, func(key, value []byte) {
		if bytes.Equal(key, []byte("_step")) {
			return
		}
		r.leaves(key, value, func(key, value []byte) {
			v, ok := wandbNumber(value)
			if !ok || len(r.job.cols.list) >= maxColumns {
				return
			}
			column := r.columnOf(key)
			if i := slices.IndexFunc(r.summary, func(s sample) bool { return s.column == column }); i >= 0 {
				r.summary[i].v = v
			} else {
				r.summary = append(r.summary, sample{column: column, v: v})
			}
		})
	})
}

// configItems reads {update: repeated ConfigItem = 1, remove: repeated ConfigItem = 2}.
func (r *wandbReader) configItems(b []byte) bool {
	const most = 10_000
	ok := r.items(b, 1, func(key, value []byte) {
		r.leaves(key, value, func(key, value []byte) {
			if len(r.config) < most && !bytes.Equal(value, []byte("null")) {
				r.configure(strings.ToValidUTF8(string(key), "�"), strings.ToValidUTF8(string(unquoted(value)), "�"))
			}
		})
	})
	return ok && r.items(b, 2, func(key, _ []byte) {
		name := string(key)
		r.config = slices.DeleteFunc(r.config, func(s setting) bool { return s.name == name || strings.HasPrefix(s.name, name+"/") })
	})
}

// leaves calls each for the scalars of a value. Objects of W&B's own, such as
// histograms, say in _type what they are: they go as a whole.
func (r *wandbReader) leaves(key, value []byte, each func(key, value []byte)) {
	if len(value) == 0 || value[0] != '{' {
		each(key, value)
		return
	}
	n, err := r.parser.object(value)
	if err != nil || n != len(value) || slices.ContainsFunc(r.parser.leaves, func(l leaf) bool { return string(l.path) == "_type" }) {
		r.other(key)
		return
	}
	prefix := append(bytes.Clone(key), '/')
	for _, l := range r.parser.leaves {
		each(append(prefix[:len(key)+1], l.path...), l.cell)
	}
}

func (r *wandbReader) other(key []byte) {
	if name := fmt.Sprintf("%q", cut(cleanName(string(key)))); len(r.others) < 100 && !slices.Contains(r.others, name) {
		r.others = append(r.others, name)
	}
}

// wandbNumber reads a JSON value that is a number. W&B writes those that JSON lacks
// as words or as strings.
func wandbNumber(value []byte) (float64, bool) {
	if v, _, ok := parseDecimal(value); ok {
		return v, true
	}
	switch string(unquoted(value)) {
	case "NaN", "Infinity", "-Infinity", "nan", "inf", "-inf":
		return parseWord(unquoted(value))
	}
	return 0, false
}

// unquoted returns the text of a JSON string, and other values as they are.
func unquoted(value []byte) []byte {
	var s string
	if len(value) > 1 && value[0] == '"' && json.Unmarshal(value, &s) == nil {
		return []byte(s)
	}
	return value
}
