// Package lunatic has the processes and messages of Lunatic: spawn, send, receive, link.
//
// A process is another instance of this program, with a memory and goroutines of its own. It
// runs one of the functions that Main is given. While a process waits in Receive, none of its
// goroutines runs.
package lunatic

import (
	"encoding/binary"
	"fmt"
	"os"
	"time"
	"unsafe"
)

//go:wasmimport lunatic::process process_id
func processID() uint64

//go:wasmimport lunatic::process spawn
func spawn(link, config, module int64, name unsafe.Pointer, nameLen uint32, params unsafe.Pointer, paramsLen uint32, id unsafe.Pointer) uint32

//go:wasmimport lunatic::process create_config
func createConfig() int64

//go:wasmimport lunatic::process drop_config
func dropConfig(config int64)

//go:wasmimport lunatic::process config_set_can_spawn_processes
func setCanSpawn(config int64, can uint32)

//go:wasmimport lunatic::process config_set_can_create_configs
func setCanCreateConfigs(config int64, can uint32)

//go:wasmimport lunatic::wasi config_add_command_line_argument
func addArgument(config int64, text unsafe.Pointer, length uint32)

//go:wasmimport lunatic::process die_when_link_dies
func dieWhenLinkDies(die uint32)

//go:wasmimport lunatic::message create_data
func createData(tag int64, capacity uint64)

//go:wasmimport lunatic::message write_data
func writeData(bytes unsafe.Pointer, length uint32) uint32

//go:wasmimport lunatic::message read_data
func readData(bytes unsafe.Pointer, length uint32) uint32

//go:wasmimport lunatic::message data_size
func dataSize() uint64

//go:wasmimport lunatic::message send
func send(process uint64) uint32

//go:wasmimport lunatic::message receive
func receive(tags unsafe.Pointer, count uint32, timeout uint64) uint32

const (
	own        = -1
	toldByLink = 1
	timedOut   = 9027
	// The first argument of a process that Spawn makes, and of no program.
	mark = "lunatic process"
)

// PID is the id of a process.
type PID uint64

// Message is what Receive returns.
type Message struct {
	Data []byte
	// LinkDied tells that a linked process has ended with a failure; see TrapExits.
	LinkDied bool
}

// Main runs the function whose name this process was spawned with, or main in the first
// process of a program. It is all that the program's own main does.
func Main(main func(), functions map[string]func(parent PID, argument []byte)) {
	if len(os.Args) != 4 || os.Args[0] != mark {
		main()
		return
	}
	var parent PID
	fmt.Sscan(os.Args[2], &parent)
	function, found := functions[os.Args[1]]
	if !found {
		panic("there is no function " + os.Args[1])
	}
	function(parent, []byte(os.Args[3]))
}

// Self is the process that calls it.
func Self() PID { return PID(processID()) }

// Spawn starts a process that runs a function of Main, with an argument without zero bytes.
func Spawn(function, argument string) (PID, error) { return start(0, function, argument) }

// SpawnLink does the same, and links the process: if one of the two fails, the other is told,
// and fails too unless it traps exits.
func SpawnLink(function, argument string) (PID, error) { return start(1, function, argument) }

func start(link int64, function, argument string) (PID, error) {
	config := createConfig()
	if config < 0 {
		return 0, fmt.Errorf("this process may not create configurations")
	}
	defer dropConfig(config)
	setCanSpawn(config, 1)
	setCanCreateConfigs(config, 1)
	for _, text := range []string{mark, function, fmt.Sprint(uint64(Self())), argument} {
		addArgument(config, unsafe.Pointer(unsafe.StringData(text)), uint32(len(text)))
	}
	const entry = "_start"
	var id uint64
	failed := spawn(link, config, own, unsafe.Pointer(unsafe.StringData(entry)), uint32(len(entry)), nil, 0, unsafe.Pointer(&id))
	if failed != 0 {
		return 0, fmt.Errorf("the process cannot be spawned")
	}
	return PID(id), nil
}

// TrapExits has the end of linked processes be told by messages from now on.
func TrapExits() { dieWhenLinkDies(0) }

// Send sends bytes. If the process has ended, nothing happens.
func Send(to PID, data []byte) {
	createData(0, uint64(len(data)))
	writeData(unsafe.Pointer(unsafe.SliceData(data)), uint32(len(data)))
	send(uint64(to))
}

// SendInt sends a number.
func SendInt(to PID, number int64) {
	Send(to, binary.LittleEndian.AppendUint64(nil, uint64(number)))
}

// Int is the number that SendInt sent.
func (message Message) Int() int64 {
	return int64(binary.LittleEndian.Uint64(message.Data))
}

// Receive waits for a message, for ever.
func Receive() Message {
	message, _ := wait(^uint64(0))
	return message
}

// ReceiveWithin waits no longer than this, and tells whether a message came.
func ReceiveWithin(time time.Duration) (Message, bool) {
	return wait(uint64(time.Milliseconds()))
}

func wait(timeout uint64) (Message, bool) {
	switch receive(nil, 0, timeout) {
	case timedOut:
		return Message{}, false
	case toldByLink:
		return Message{LinkDied: true}, true
	}
	data := make([]byte, dataSize())
	readData(unsafe.Pointer(unsafe.SliceData(data)), uint32(len(data)))
	return Message{Data: data}, true
}
