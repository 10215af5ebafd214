package cuda

import (
	"fmt"

	"github.com/etastar/etastar/kernels"
	"github.com/etastar/etastar/kernels/cuda/driver"
)

// launch is one kernel. A grid's third size is the number of active runs, set when the
// launch is recorded; a launch for one run alone has its number in run, others −1.
type launch struct {
	kernel string
	grid   [3]int
	block  int // threads
	shared int // bytes
	args   []byte
	run    int
	once   bool            // for what all runs share: one slot
	blas   *multiplication // instead of a kernel
	step   int             // that it belongs to
	until  int             // beside the others, not waited for before this step begins; 0 for none of that
	// spread > 0: as many blocks in x as divide this number among the runs, at most grid's.
	spread int
}

// target is what launches depend on.
type target struct {
	kernels map[string]kernel // that exist
	sms     int               // multiprocessors
	hopper  bool              // takes the kernels of sm_90a
	blas    bool              // has cuBLASLt
	inOrder bool              // one launch after another, none beside
}

// bound is a limit on host-written numbers that a program uses as row numbers.
type bound struct {
	op       int
	what     string // such as "Embed: token"
	buffer   kernels.Buffer
	limit    int
	negative bool // numbers below 0 are allowed
}

// compiled is a program as launches.
type compiled struct {
	program  *kernels.Program
	steps    []step
	launches []launch
	bounds   []bound
	work     []int64 // bytes of working memory a run, by step
	workAt   []int64 // where it lies, from the beginning of scratch
	scratch  places
	holds    []hold
	separate bool // has launches for one run alone
}

// phase is what a walk over the operations is for. All walks call the same code: the
// first learns the forms, the second the working memory, the third has places.
type phase uint8

const (
	asking phase = iota
	sizing
	placing
)

// compiler walks over the operations of programs of one space.
type compiler struct {
	space  *kernels.Space
	runs   int
	target target
	phase  phase
	forms  []form
	layout *layout
	encode func(driver.Matrices) (driver.Map, error) // nil without a device

	consts    []constant
	constAt   int64
	ropes     map[ropeKey]uint64
	shareWork int64 // most that an operation wants of shared working memory

	// Of the program, step and operation at hand.
	to      *compiled
	step    int
	op      int
	workUse int64
	shareAt int64
	until   int // of launches that are recorded now; 0 for those in order
	written []output
	err     error
}

type constant struct {
	at   int64
	data []byte
}

type output struct {
	buffer kernels.Buffer
	forms  form
}

// compileAll compiles programs for a number of runs, up to their sizes, or, given an
// address in base, wholly.
func compileAll(t target, runs int, programs []*kernels.Program) (*compiler, []*compiled, error) {
	if runs < 1 {
		return nil, nil, fmt.Errorf("%d runs", runs)
	}
	if runs > maxRuns {
		return nil, nil, fmt.Errorf("%d runs need more memory than any device has", runs)
	}
	if len(programs) == 0 {
		return nil, nil, fmt.Errorf("no programs")
	}
	c := &compiler{space: programs[0].Space(), runs: runs, target: t}
	for _, p := range programs {
		if p.Space() != c.space {
			return nil, nil, fmt.Errorf("program %s is over another space", p.Name())
		}
	}
	c.forms = make([]form, len(c.space.Layout(kernels.Shared).Offset))
	if _, err := c.walk(asking, programs); err != nil {
		return nil, nil, err
	}
	c.settle(programs)
	list, err := c.walk(sizing, programs)
	if err != nil {
		return nil, nil, err
	}
	c.layout = plan(c.space, c.forms, runs, list, c.constAt, c.shareWork)
	if c.layout.run > maxBytes/int64(runs) || c.layout.shared > maxBytes {
		return nil, nil, fmt.Errorf("%d runs need more memory than any device has", runs)
	}
	return c, list, nil
}

// A grid has at most 65,535 slots; memory is bounded far from overflow.
const (
	maxRuns  = 65535
	maxBytes = 1 << 46
)

// finish compiles again for memory at base, with the places of the sized programs.
func (c *compiler) finish(base uint64, sized []*compiled) ([]*compiled, error) {
	c.layout.base = base
	var programs []*kernels.Program
	for _, s := range sized {
		programs = append(programs, s.program)
	}
	c.phase = placing
	var list []*compiled
	c.reset()
	for i, p := range programs {
		done, err := c.compile(p, sized[i])
		if err != nil {
			return nil, err
		}
		list = append(list, done)
	}
	return list, nil
}

func (c *compiler) reset() {
	c.consts, c.constAt, c.ropes = nil, 0, map[ropeKey]uint64{}
}

func (c *compiler) walk(ph phase, programs []*kernels.Program) ([]*compiled, error) {
	c.phase = ph
	c.reset()
	var list []*compiled
	for _, p := range programs {
		done, err := c.compile(p, nil)
		if err != nil {
			return nil, err
		}
		list = append(list, done)
	}
	return list, nil
}

// settle gives every float buffer the forms it will have.
func (c *compiler) settle(programs []*kernels.Program) {
	for i := range c.forms {
		info, _ := c.space.Info(kernels.Buffer(i + 1))
		if info.Root == kernels.Buffer(i+1) && (info.Class != kernels.Scratch || info.Type == kernels.Int32) {
			c.forms[i] |= wide
		}
	}
	for _, p := range programs {
		for _, s := range c.fuse(p) {
			for _, a := range s.accesses {
				info, _ := c.space.Info(a.Buffer)
				if c.forms[info.Root-1] == 0 {
					// Whoever writes and reads it takes both: less to move.
					c.forms[info.Root-1] = narrow
				}
			}
		}
	}
}

func (c *compiler) compile(p *kernels.Program, sized *compiled) (*compiled, error) {
	c.to = &compiled{program: p, steps: c.fuse(p)}
	if sized != nil {
		c.to.work, c.to.workAt, c.to.scratch = sized.work, sized.workAt, sized.scratch
	}
	for i, s := range c.to.steps {
		c.step, c.op, c.workUse, c.shareAt, c.until, c.written, c.err = i, s.op, 0, 0, 0, nil, nil
		if err := c.do(p, s); err != nil {
			return nil, fmt.Errorf("program %s: op %d: %w", p.Name(), s.op, err)
		}
		c.convert()
		if c.err != nil {
			return nil, fmt.Errorf("program %s: op %d: %w", p.Name(), s.op, c.err)
		}
		if sized == nil {
			c.to.work = append(c.to.work, c.workUse)
		} else if c.workUse != sized.work[i] || c.shareAt > c.layout.workBytes {
			return nil, fmt.Errorf("program %s: op %d: takes %d bytes of working memory, not %d", p.Name(), s.op, c.workUse, sized.work[i])
		}
		c.shareWork = max(c.shareWork, c.shareAt)
	}
	return c.to, nil
}

// convert brings the other form of what the operation wrote up to date.
func (c *compiler) convert() {
	for _, o := range c.written {
		info := c.info(o.buffer)
		missing := c.forms[info.Root-1] &^ o.forms
		if c.phase != asking && missing != 0 {
			if !c.isBeside(o.buffer) {
				c.until = 0
			}
			c.convertFor(-1, c.slots(), missing, c.ref(o.buffer, missing), c.ref(o.buffer, (wide|narrow)&^missing), info.Len())
		}
	}
}

func (c *compiler) fail(format string, args ...any) {
	if c.err == nil {
		c.err = fmt.Errorf(format, args...)
	}
}

// info describes a buffer; of no buffer it is empty.
func (c *compiler) info(b kernels.Buffer) *kernels.Info {
	info, _ := c.space.Info(b)
	return &info
}

// want asks for a form of a buffer that the operation reads.
func (c *compiler) want(b kernels.Buffer, f form) ref {
	if b == 0 {
		return ref{}
	}
	if c.phase == asking {
		c.forms[c.info(b).Root-1] |= f
		return ref{}
	}
	return c.ref(b, f)
}

func (c *compiler) in32(b kernels.Buffer) ref { return c.want(b, wide) }
func (c *compiler) in16(b kernels.Buffer) ref { return c.want(b, narrow) }

// inAny takes the buffer as it is, preferably in float32.
func (c *compiler) inAny(b kernels.Buffer) (ref, string) {
	f := c.have(b)
	if b == 0 || c.phase == asking {
		return ref{}, suffix(f)
	}
	return c.ref(b, f), suffix(f)
}

// have is the better form that a buffer has.
func (c *compiler) have(b kernels.Buffer) form {
	if b != 0 && c.phase != asking && c.forms[c.info(b).Root-1]&wide == 0 {
		return narrow
	}
	return wide
}

// suffix is how the names of kernels say a type.
func suffix(f form) string {
	if f == narrow {
		return "_h"
	}
	return "_f"
}

// out32 and out16 ask for the form that the operation writes.
func (c *compiler) out32(b kernels.Buffer) ref { return c.out(b, wide) }
func (c *compiler) out16(b kernels.Buffer) ref { return c.out(b, narrow) }

func (c *compiler) out(b kernels.Buffer, f form) ref {
	if b == 0 {
		return ref{}
	}
	c.written = append(c.written, output{b, f})
	return c.want(b, f)
}

// outAny writes the buffer in the form it has.
func (c *compiler) outAny(b kernels.Buffer) (ref, string) {
	if b != 0 {
		c.written = append(c.written, output{b, c.have(b)})
	}
	return c.inAny(b)
}

// outBoth writes float32 and, where the buffer has one, the bfloat16 copy beside it.
func (c *compiler) outBoth(b kernels.Buffer) (r, copied ref) {
	c.written = append(c.written, output{b, wide | narrow})
	r = c.want(b, wide)
	if c.phase != asking && c.forms[c.info(b).Root-1]&narrow != 0 {
		copied = c.ref(b, narrow)
	}
	return r, copied
}

// outKept writes the buffer in every form it has.
func (c *compiler) outKept(b kernels.Buffer) (r, copied ref) {
	f := c.forms[c.info(b).Root-1]
	c.written = append(c.written, output{b, f})
	if c.phase != asking && f&wide != 0 {
		r = c.ref(b, wide)
	}
	if c.phase != asking && f&narrow != 0 {
		copied = c.ref(b, narrow)
	}
	return r, copied
}

// offset is where a buffer begins: from the base for shared ones, else from its run.
func (c *compiler) offset(b kernels.Buffer, f form) int64 {
	info := c.info(b)
	at := c.layout.places.of(f)[info.Root-1]
	if info.Class == kernels.Scratch {
		if at = c.to.scratch.of(f)[info.Root-1]; at >= 0 {
			at += c.layout.scratch
		}
	}
	if at < 0 {
		c.fail("buffer %s has no memory in this form", info)
		return 0
	}
	return at + int64(info.Offset)*f.size()
}

func (c *compiler) ref(b kernels.Buffer, f form) ref {
	if c.phase != placing {
		return ref{}
	}
	at := c.offset(b, f)
	if c.info(b).Class == kernels.Shared {
		return ref{p: c.layout.base + uint64(at)}
	}
	return c.inRun(at, f)
}

// inRun is what lies at an offset in every run.
func (c *compiler) inRun(at int64, f form) ref {
	return ref{p: c.arena() + uint64(at), stride: c.layout.run / f.size()}
}

// arena is where run 0 begins.
func (c *compiler) arena() uint64 { return c.layout.base + uint64(c.layout.shared) }

// tmp takes n elements of working memory a run, for this operation.
func (c *compiler) tmp(n int64, f form) ref { return c.tmpBytes(n*f.size(), f) }

func (c *compiler) tmpBytes(bytes int64, f form) ref {
	at := c.workUse
	c.workUse += aligned(bytes)
	if c.phase != placing {
		return ref{}
	}
	return c.inRun(c.layout.scratch+c.to.workAt[c.step]+at, f)
}

// tmp64 takes n float64 of working memory a run.
func (c *compiler) tmp64(n int64) ref {
	r := c.tmpBytes(n*8, wide)
	r.stride /= 2
	return r
}

// sharedTmp takes bytes of working memory that all runs share, for this operation.
func (c *compiler) sharedTmp(bytes int64) uint64 {
	at := c.shareAt
	c.shareAt += aligned(bytes)
	if c.phase != placing {
		return 0
	}
	return c.layout.base + uint64(c.layout.work+at)
}

// constant places data that never changes; make is called once there is a place.
func (c *compiler) constant(bytes int64, make func() []byte) uint64 {
	at := c.constAt
	c.constAt += aligned(bytes)
	if c.phase != placing {
		return 0
	}
	c.consts = append(c.consts, constant{c.layout.consts + at, make()})
	return c.layout.base + uint64(c.layout.consts+at)
}

// slots is the slot map for launches of all active runs; only is that for one.
func (c *compiler) slots() uint64 {
	if c.layout == nil {
		return 0
	}
	return c.layout.base + uint64(c.layout.slots)
}

func (c *compiler) only(run int) uint64 {
	if c.layout == nil {
		return 0
	}
	return c.layout.base + uint64(c.layout.number) + uint64(run)*4
}

// add records a launch for all active runs.
func (c *compiler) add(kernel string, gx, gy int, args []byte) { c.addFor(-1, kernel, gx, gy, args) }

// once records a launch for what all runs share, or for one of them.
func (c *compiler) once(run int, kernel string, gx int, args []byte) {
	c.addFor(run, kernel, gx, 1, args)
	c.last().once = true
}

func (c *compiler) addFor(run int, kernel string, gx, gy int, args []byte) {
	if c.phase == asking {
		return
	}
	k, ok := c.target.kernels[kernel]
	switch {
	case !ok:
		c.fail("there is no kernel %s", kernel)
	case k.arguments != len(args):
		c.fail("kernel %s takes %d bytes of arguments, not %d", kernel, k.arguments, len(args))
	case gx < 1 || gx > 1<<31-1 || gy < 1 || gy > 65535:
		c.fail("kernel %s: a grid of %d×%d blocks", kernel, gx, gy)
	}
	if run >= 0 {
		c.to.separate = true
	}
	c.to.launches = append(c.to.launches, launch{kernel: kernel, grid: [3]int{gx, gy, 1}, block: k.threads, args: args, run: run, step: c.step, until: c.until})
}

// last is the launch that was recorded last.
func (c *compiler) last() *launch {
	if n := len(c.to.launches); n > 0 && c.phase != asking {
		return &c.to.launches[n-1]
	}
	return &launch{}
}

// eachRun calls f for what differs between runs and cannot be done in one launch, or
// once with −1 where the buffer is shared by all.
func (c *compiler) eachRun(b kernels.Buffer, f func(run int, p uint64, slots uint64)) {
	r := c.in32(b)
	if c.info(b).Class == kernels.Shared {
		f(-1, r.p, c.slots())
		return
	}
	for i := range c.runs {
		f(i, r.p+uint64(int64(i)*r.stride*4), c.only(i))
	}
}

// rowsOf notes that the numbers in a buffer must be below a limit.
func (c *compiler) rowsOf(what string, b kernels.Buffer, limit int, negative bool) {
	if c.phase == placing && c.info(b).Class != kernels.Scratch {
		c.to.bounds = append(c.to.bounds, bound{c.op, what, b, limit, negative})
	}
}

// one is a multiplier, of which 0 stands for 1.
func one(x float32) float32 {
	if x == 0 {
		return 1
	}
	return x
}

func flag(b bool) int32 {
	if b {
		return 1
	}
	return 0
}

func ceil(a, b int) int { return (a + b - 1) / b }
