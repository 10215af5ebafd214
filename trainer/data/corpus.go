package data

import (
	"errors"
	"fmt"
	"math"
)

// Corpus is a row of tokens cut into blocks. Block i holds tokens i·T … i·T+T, T+1 of
// them: T inputs and, one place on, T targets. So every token but the first is the
// target of one block, and a token that is a target of a held-out block is a target of
// no training block; only the last target of a block is also the first input of its
// neighbour.
type Corpus struct {
	Info    Info
	Context int // T
	Vocab   int // ids must lie below it

	train, held blocks
	all         []*Row
}

// blocks is a set of blocks of one row.
type blocks struct {
	row   *Row
	count int64
	place func(i int64) int64 // block number of the i-th
}

// Split says how blocks are held out for validation.
type Split struct {
	// Part is the share held out; groups of round(1/Part) blocks hold out one each.
	Part float64
	// Tail holds out the last blocks rather than one at a hashed place of every group.
	// A text that changes on the way is then validated on its end.
	Tail bool
}

// newCorpus cuts a row into training and held-out blocks. With a second row all of row
// is for training and all of that for validation.
func newCorpus(row, validation *Row, context, vocab int, split Split, info Info) (*Corpus, error) {
	if context < 1 {
		return nil, fmt.Errorf("context %d: use at least 1 token", context)
	}
	c := &Corpus{Info: info, Context: context, Vocab: vocab, all: []*Row{row}}
	n, err := countBlocks(row, context, info.Name)
	if err != nil {
		return nil, err
	}
	if validation != nil {
		m, err := countBlocks(validation, context, "the validation source")
		if err != nil {
			return nil, err
		}
		same := func(i int64) int64 { return i }
		c.train, c.held = blocks{row, n, same}, blocks{validation, m, same}
		c.all = append(c.all, validation)
		return c, nil
	}
	if n < 2 {
		return nil, fmt.Errorf("%s holds one block of context %d (%d tokens), and one each is needed for training and validation: use a context of at most %d, or a longer text", info.Name, context, row.Len(), (row.Len()-1)/2)
	}
	if !(split.Part > 0 && split.Part <= 0.5) {
		return nil, fmt.Errorf("held out %g: use a share above 0 and up to 0.5", split.Part)
	}
	if split.Tail {
		held := min(n-1, max(1, int64(math.Round(split.Part*float64(n)))))
		c.train = blocks{row, n - held, func(i int64) int64 { return i }}
		c.held = blocks{row, held, func(i int64) int64 { return n - held + i }}
		return c, nil
	}
	c.train, c.held = spread(row, n, split.Part)
	return c, nil
}

func countBlocks(row *Row, context int, name string) (int64, error) {
	n := (row.Len() - 1) / int64(context)
	switch {
	case row.Len() == 0:
		return 0, fmt.Errorf("%s is empty", name)
	case n < 1:
		return 0, fmt.Errorf("%s holds %d tokens, and a context of %d needs %d: use a context of at most %d, or a longer text", name, row.Len(), context, context+1, max(1, row.Len()-1))
	}
	return n, nil
}

// spread holds out one block of every group of g, at a place hashed from the group's
// number: the same for every seed, and found without a table. What is left after the
// last whole group is for training, unless there is no whole group.
func spread(row *Row, n int64, part float64) (train, held blocks) {
	g := min(n, int64(math.Round(1/part)))
	groups := n / g
	out := func(group int64) int64 { return int64(mix(uint64(group)^0x5bd1e995) % uint64(g)) }
	held = blocks{row, groups, func(i int64) int64 { return i*g + out(i) }}
	train = blocks{row, n - groups, func(i int64) int64 {
		group := i / (g - 1)
		if group >= groups {
			return i + groups
		}
		at := i % (g - 1)
		if at >= out(group) {
			at++
		}
		return group*g + at
	}}
	return train, held
}

// TrainBlocks and HeldOutBlocks are the numbers of blocks of Context tokens.
func (c *Corpus) TrainBlocks() int64   { return c.train.count }
func (c *Corpus) HeldOutBlocks() int64 { return c.held.count }

// Sequence fills inputs and targets (Context each) with training sequence number i of
// the order that seed gives. Step s of a run with batches of B sequences reads the
// numbers s·B … s·B+B−1, whatever came before: that is all a resumed run must know.
// Every epoch reads every block once, in an order of its own.
func (c *Corpus) Sequence(inputs, targets []int32, seed uint64, i int64) error {
	if i < 0 {
		return fmt.Errorf("training sequence %d: negative", i)
	}
	p := newPermutation(c.train.count, seed, uint64(i/c.train.count))
	return c.read(c.train, inputs, targets, p.at(i%c.train.count))
}

// Batch fills inputs and targets ([sequences, Context], row by row) with the sequences
// from number first on.
func (c *Corpus) Batch(inputs, targets []int32, seed uint64, first int64) error {
	t := c.Context
	if len(inputs)%t != 0 || len(inputs) != len(targets) {
		return fmt.Errorf("a batch of %d inputs and %d targets: both must be whole sequences of %d", len(inputs), len(targets), t)
	}
	for s := range len(inputs) / t {
		if err := c.Sequence(inputs[s*t:(s+1)*t], targets[s*t:(s+1)*t], seed, first+int64(s)); err != nil {
			return err
		}
	}
	return nil
}

// ValidationBlocks is how many held-out blocks a validation on about that many tokens
// uses: at least one, at most all.
func (c *Corpus) ValidationBlocks(tokens int64) int64 {
	return min(c.held.count, max(1, (tokens+int64(c.Context)-1)/int64(c.Context)))
}

// HeldOut fills inputs and targets (Context each) with block i of n validation blocks,
// which are spread evenly over all that are held out. It depends on neither seed nor
// step.
func (c *Corpus) HeldOut(inputs, targets []int32, i, n int64) error {
	if n < 1 || n > c.held.count || i < 0 || i >= n {
		return fmt.Errorf("validation block %d of %d: there are %d held out", i, n, c.held.count)
	}
	return c.read(c.held, inputs, targets, i*(c.held.count/n)+i*(c.held.count%n)/n)
}

func (c *Corpus) read(b blocks, inputs, targets []int32, i int64) error {
	t := c.Context
	if len(inputs) != t || len(targets) != t {
		return fmt.Errorf("a sequence of %d inputs and %d targets: both must be %d", len(inputs), len(targets), t)
	}
	at := b.place(i) * int64(t)
	if err := b.row.Read(inputs, at); err != nil {
		return err
	}
	copy(targets, inputs[1:])
	if err := b.row.Read(targets[t-1:], at+int64(t)); err != nil {
		return err
	}
	if c.Vocab <= 0 {
		return nil
	}
	for j := range t + 1 {
		id := targets[max(0, j-1)]
		if j == 0 {
			id = inputs[0]
		}
		if id < 0 || int(id) >= c.Vocab {
			return fmt.Errorf("%s: token %d has id %d, outside the vocabulary of %d: set vocab to what the file was made with, or check its integer type", c.Info.Name, at+int64(j), id, c.Vocab)
		}
	}
	return nil
}

// Close gives the files back.
func (c *Corpus) Close() error {
	var errs []error
	for _, r := range c.all {
		errs = append(errs, r.Close())
	}
	return errors.Join(errs...)
}
