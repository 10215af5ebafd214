package importers

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"path/filepath"
	"slices"
	"strings"

	"github.com/etastar/etastar/session/table"
)

// Event files are TFRecords: the length of the record in eight bytes, the masked
// CRC-32C of these in four, the record, and its masked CRC-32C in four. A record
// is a protocol buffer of type Event.
const (
	frameHead = 12
	frameTail = 4
	// maxEvent bounds the records that are kept in memory. Scalars are far smaller;
	// graphs and images are only checked.
	maxEvent = 4 << 20
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// masked is TensorFlow's mask of a checksum, which keeps data that holds its own
// checksums from looking right.
func masked(crc uint32) uint32 { return (crc>>15 | crc<<17) + 0xa282ead8 }

func maskedCRC(b []byte) uint32 { return masked(crc32.Checksum(b, castagnoli)) }

// isEvents recognises an event file, or what is left of one, by its first frame.
func isEvents(head []byte, path string) bool {
	return sniffEvents(head) > 0 || len(head) > 0 && calledEvents(path)
}

func calledEvents(path string) bool { return strings.Contains(filepath.Base(path), "tfevents") }

func sniffEvents(head []byte) int {
	if len(head) >= frameHead && binary.LittleEndian.Uint32(head[8:]) == maskedCRC(head[:8]) {
		return 100
	}
	return 0
}

// eventReader reads the records of an event file into a series.
type eventReader struct {
	*series
	in    *window
	tags  []eventTag
	last  int // the tag of the last value
	byTag map[string]int

	// rowOf finds the row of a step; it is made when steps are not in order.
	rowOf map[int64]int
	steps []int64 // by row
	part  int     // the first row since the last restart
	parts int

	wall, restarted int
	others          []string // tags without scalars
	records         int
}

// eventTag is a name under which values are logged.
type eventTag struct {
	name   string
	column int
	part   int   // when step was logged
	step   int64 // the last
}

// scanEvents reads a TensorBoard event file: a row a step, a column a tag, with
// the wall time of the first value of the step in seconds since 1970. Values are
// given exactly, those in single precision too, whose shortest decimal is another
// number. Reading ends where a checksum fails or the file does; images,
// histograms, graphs and texts are left out.
func scanEvents(j *job) error {
	j.in.binary = true
	r := &eventReader{series: newSeries(j), in: j.in, byTag: map[string]int{}}
	r.wall = r.column("wall_time")
	if err := r.scan(); err != nil {
		return err
	}
	if r.parts > 0 {
		r.note("the steps go back %s: the run was restarted; rows of both are kept, the column restart tells them apart", times(r.parts))
	}
	if len(r.others) > 0 {
		r.note("tags without numbers are left out: %s", some(r.others))
	}
	r.finish()
	return nil
}

func (r *eventReader) scan() error {
	for !r.full {
		ok, err := r.in.fill(frameHead, r.records+1)
		if err != nil {
			return err
		}
		b := r.in.rest()
		if len(b) == 0 {
			return nil
		}
		if !ok {
			r.damaged(r.in.passed, "the file ends within a record")
			return nil
		}
		n := binary.LittleEndian.Uint64(b)
		if binary.LittleEndian.Uint32(b[8:]) != maskedCRC(b[:8]) {
			r.damaged(r.in.passed, "the checksum of a record's length is wrong")
			return nil
		}
		if n > maxEvent {
			if ok, err = r.pass(n); err != nil || !ok {
				return err
			}
			continue
		}
		size := int(n)
		if ok, err = r.in.fill(frameHead+size+frameTail, r.records+1); err != nil {
			return err
		}
		if !ok {
			r.damaged(r.in.passed, "the file ends within a record")
			return nil
		}
		b = r.in.rest()
		event := b[frameHead : frameHead+size]
		if binary.LittleEndian.Uint32(b[frameHead+size:]) != maskedCRC(event) {
			r.damaged(r.in.passed, "the checksum of a record is wrong")
			return nil
		}
		r.line = r.records + 1
		if !r.event(event) {
			r.damaged(r.in.passed, "a record is no event")
			return nil
		}
		r.records++
		r.in.skip(frameHead + size + frameTail)
	}
	return nil
}

// damaged notes where reading ends: at the record in hand, which begins at a byte.
func (r *eventReader) damaged(at int64, what string) {
	r.job.damaged(fmt.Errorf("record %d, byte %d: %s", r.records+1, at, what))
}

// pass checks a record that is too large for scalars without keeping it.
func (r *eventReader) pass(n uint64) (bool, error) {
	start := r.in.passed
	r.in.skip(frameHead)
	crc := uint32(0)
	for n > 0 {
		if ok, err := r.in.fill(1, r.records+1); err != nil {
			return false, err
		} else if !ok {
			r.damaged(start, "the file ends within a record")
			return false, nil
		}
		b := r.in.rest()
		b = b[:min(uint64(len(b)), n)]
		crc = crc32.Update(crc, castagnoli, b)
		n -= uint64(len(b))
		r.in.skip(len(b))
	}
	if ok, err := r.in.fill(frameTail, r.records+1); err != nil {
		return false, err
	} else if !ok {
		r.damaged(start, "the file ends within a record")
		return false, nil
	}
	if binary.LittleEndian.Uint32(r.in.rest()) != masked(crc) {
		r.damaged(start, "the checksum of a record is wrong")
		return false, nil
	}
	r.in.skip(frameTail)
	r.records++
	return true, nil
}

// event reads a record:
//
//	Event   {wall_time: double = 1, step: int64 = 2, summary: Summary = 5}
//	Summary {value: repeated Value = 1}
func (r *eventReader) event(b []byte) bool {
	var f protoField
	var summary []byte
	wall, step, timed := 0.0, int64(0), false
	for len(b) > 0 {
		var ok bool
		if b, ok = protoNext(b, &f); !ok {
			return false
		}
		switch f.number<<3 | f.wire {
		case 1<<3 | 1:
			wall, timed = f.float64(), true
		case 2 << 3:
			step = int64(f.n)
		case 5<<3 | 2:
			summary = f.bytes
		}
	}
	if r.records == 0 && !timed {
		return false // a TFRecord of something else, such as a data set
	}
	for len(summary) > 0 {
		var ok bool
		if summary, ok = protoNext(summary, &f); !ok {
			return false
		}
		if f.number == 1 && f.wire == 2 && !r.value(f.bytes, step, wall) {
			return false
		}
	}
	return true
}

// value reads a value of a summary:
//
//	Value {tag: string = 1, simple_value: float = 2, tensor: TensorProto = 8, metadata: SummaryMetadata = 9}
func (r *eventReader) value(b []byte, step int64, wall float64) bool {
	var f protoField
	var tag, metadata []byte
	v, found := 0.0, false
	for len(b) > 0 {
		var ok bool
		if b, ok = protoNext(b, &f); !ok {
			return false
		}
		switch f.number<<3 | f.wire {
		case 1<<3 | 2:
			tag = f.bytes
		case 2<<3 | 5:
			v, found = f.float32(), true
		case 8<<3 | 2:
			v, found = tensorScalar(f.bytes)
		case 9<<3 | 2:
			metadata = f.bytes
		}
	}
	switch {
	case found && len(tag) > 0:
		r.log(tag, step, wall, v)
	case metadata != nil && r.hyperparameters(metadata):
	case len(tag) > 0:
		if name := fmt.Sprintf("%q", cut(string(tag))); len(r.others) < 100 && !slices.Contains(r.others, name) {
			r.others = append(r.others, name)
		}
	}
	return true
}

// log sets the value of a tag at a step.
func (r *eventReader) log(name []byte, step int64, wall, v float64) {
	t := r.tag(name)
	row, known := r.find(step)
	c := r.job.cols.list[t.column]
	if known && row < c.rows && !table.IsMissing(c.numbers[row]) {
		if same(c.numbers[row], v) {
			return
		}
		known = false
	}
	if t.part == r.parts && step < t.step {
		// This tag goes back. Others may log at steps of their own.
		r.parts++
		r.part, r.rowOf, known = r.rows, nil, false
	}
	if !known {
		if row = r.newRow(step, wall); r.full {
			return
		}
	}
	t.part, t.step = r.parts, step
	if c.rows <= row {
		c.pad(row)
		c.numbers = append(c.numbers, v)
		c.rows++
	} else {
		c.numbers[row] = v
	}
}

// tag finds a tag; they mostly come in the same order.
func (r *eventReader) tag(name []byte) *eventTag {
	if r.last++; r.last >= len(r.tags) {
		r.last = 0
	}
	if r.last < len(r.tags) && r.tags[r.last].name == string(name) {
		return &r.tags[r.last]
	}
	i, ok := r.byTag[string(name)]
	if !ok {
		i = len(r.tags)
		r.byTag[string(name)] = i
		r.tags = append(r.tags, eventTag{name: string(name), column: r.column(r.free(name)), part: -1})
	}
	r.last = i
	return &r.tags[i]
}

// free returns a column's name for a tag.
func (r *eventReader) free(tag []byte) string {
	name := cleanName(string(tag))
	for r.columns[name] > 0 || name == "step" {
		name += "_"
	}
	return name
}

// find returns the row of a step since the last restart.
func (r *eventReader) find(step int64) (int, bool) {
	if r.rowOf != nil {
		row, ok := r.rowOf[step]
		return row, ok
	}
	if n := len(r.steps); n > r.part && r.steps[n-1] <= step {
		return n - 1, r.steps[n-1] == step
	}
	i, ok := slices.BinarySearch(r.steps[r.part:], step)
	return r.part + i, ok
}

// newRow begins a row.
func (r *eventReader) newRow(step int64, wall float64) int {
	if r.overflows("record") {
		return 0
	}
	row := r.rows
	if n := len(r.steps); r.rowOf == nil && n > r.part && step <= r.steps[n-1] {
		r.rowOf = make(map[int64]int, n-r.part)
		for i := r.part; i < n; i++ {
			r.rowOf[r.steps[i]] = i
		}
	}
	if r.rowOf != nil {
		r.rowOf[step] = row
	}
	r.steps = append(r.steps, step)
	r.rows++
	cs := &r.job.cols
	cs.lines = append(cs.lines, int32(r.line))
	r.set(0, float64(step))
	if r.rows == worthReserving {
		r.reserve()
	}
	r.set(r.wall, wall)
	if r.parts > 0 {
		if r.restarted == 0 {
			r.restarted = r.column(r.free([]byte("restart")))
			c := cs.list[r.restarted]
			c.numbers, c.rows = make([]float64, row), row
		}
		r.set(r.restarted, float64(r.parts))
	}
	return row
}

// hyperparameters reads what the HParams plugin keeps of a run:
//
//	SummaryMetadata {plugin_data: PluginData = 1}
//	PluginData {plugin_name: string = 1, content: bytes = 2}
//	HParamsPluginData {session_start_info: SessionStartInfo = 3}
//	SessionStartInfo {hparams: map<string, google.protobuf.Value> = 1}
func (r *eventReader) hyperparameters(metadata []byte) bool {
	plugin, _ := protoBytes(metadata, 1)
	if name, _ := protoBytes(plugin, 1); !bytes.Equal(name, []byte("hparams")) {
		return false
	}
	content, _ := protoBytes(plugin, 2)
	start, ok := protoBytes(content, 3)
	if !ok {
		return true // of the experiment, or a run's end
	}
	const most = 1000
	var f protoField
	for len(start) > 0 && len(r.config) < most {
		if start, ok = protoNext(start, &f); !ok {
			break
		}
		if f.number != 1 || f.wire != 2 {
			continue
		}
		key, _ := protoBytes(f.bytes, 1)
		value, _ := protoBytes(f.bytes, 2)
		if text, ok := protoValue(value); ok && len(key) > 0 {
			r.configure(strings.ToValidUTF8(string(key), "�"), text)
		}
	}
	return true
}
