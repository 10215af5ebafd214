package tokenizer

import "container/heap"

// merger applies BPE merges to one word: always the pair with the lowest rank, the
// leftmost of equals, until no pair is left to merge. Words are short as a rule; a
// queue keeps the long ones (a page of letters without a space) from costing their
// length squared.
type merger struct {
	nodes []node
	queue candidates
}

type node struct {
	id         int32
	prev, next int32 // −1: none
	dead       bool
}

type candidate struct {
	merge
	left int32 // index of the left node; the right one is its next
	pair pair  // as it was; stale when the nodes changed since
}

type candidates []candidate

func (c candidates) Len() int      { return len(c) }
func (c candidates) Swap(i, j int) { c[i], c[j] = c[j], c[i] }
func (c candidates) Less(i, j int) bool {
	return c[i].rank < c[j].rank || c[i].rank == c[j].rank && c[i].left < c[j].left
}
func (c *candidates) Push(x any) { *c = append(*c, x.(candidate)) }
func (c *candidates) Pop() any {
	old := *c
	x := old[len(old)-1]
	*c = old[:len(old)-1]
	return x
}

// short is the length up to which looking at every pair again is cheaper.
const short = 48

func (m *merger) run(dst []int32, t *Tokenizer, word []byte) []int32 {
	start := len(dst)
	for _, b := range word {
		dst = append(dst, t.ofByte[b])
	}
	if len(word) > short {
		return m.long(dst[:start], t, dst[start:])
	}
	ids := dst[start:]
	for {
		best, at := merge{}, -1
		for i := range len(ids) - 1 {
			if mg, ok := t.merges[pair{ids[i], ids[i+1]}]; ok && (at < 0 || mg.rank < best.rank) {
				best, at = mg, i
			}
		}
		if at < 0 {
			return dst[:start+len(ids)]
		}
		ids[at] = best.id
		ids = append(ids[:at+1], ids[at+2:]...)
	}
}

func (m *merger) long(dst []int32, t *Tokenizer, ids []int32) []int32 {
	m.nodes, m.queue = m.nodes[:0], m.queue[:0]
	for i, id := range ids {
		m.nodes = append(m.nodes, node{id: id, prev: int32(i - 1), next: int32(i + 1)})
	}
	m.nodes[len(ids)-1].next = -1
	for i := range len(ids) - 1 {
		m.offer(t, int32(i), false)
	}
	heap.Init(&m.queue)
	for len(m.queue) > 0 {
		c := heap.Pop(&m.queue).(candidate)
		l := &m.nodes[c.left]
		if l.dead || l.next < 0 || (pair{l.id, m.nodes[l.next].id}) != c.pair {
			continue
		}
		r := &m.nodes[l.next]
		r.dead = true
		l.id, l.next = c.id, r.next
		if l.next >= 0 {
			m.nodes[l.next].prev = c.left
			m.offer(t, c.left, true)
		}
		if l.prev >= 0 {
			m.offer(t, l.prev, true)
		}
	}
	for i := int32(0); i >= 0; i = m.nodes[i].next {
		dst = append(dst, m.nodes[i].id)
	}
	return dst
}

// offer queues the merge of a node with its next, if there is one.
func (m *merger) offer(t *Tokenizer, left int32, sift bool) {
	l := m.nodes[left]
	if l.next < 0 {
		return
	}
	p := pair{l.id, m.nodes[l.next].id}
	mg, ok := t.merges[p]
	if !ok {
		return
	}
	c := candidate{merge: mg, left: left, pair: p}
	if sift {
		heap.Push(&m.queue, c)
		return
	}
	m.queue = append(m.queue, c)
}
