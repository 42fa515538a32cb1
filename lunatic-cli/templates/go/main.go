// A program of processes: two square a number each and send it to the first; a third one
// fails, and the first, which is linked to it, is told.
package main

import (
	"fmt"
	"strconv"

	"example.com/{{name}}/lunatic"
)

func square(parent lunatic.PID, argument []byte) {
	number, _ := strconv.ParseInt(string(argument), 10, 64)
	lunatic.SendInt(parent, number*number)
}

func fail(lunatic.PID, []byte) {
	panic("this one fails")
}

func start() {
	for _, number := range []string{"3", "4"} {
		if _, err := lunatic.Spawn("square", number); err != nil {
			panic(err)
		}
	}
	sum := lunatic.Receive().Int() + lunatic.Receive().Int()
	fmt.Println("two processes say", sum)

	lunatic.TrapExits()
	if _, err := lunatic.SpawnLink("fail", ""); err != nil {
		panic(err)
	}
	fmt.Println("a linked process has failed:", lunatic.Receive().LinkDied)
}

func main() {
	lunatic.Main(start, map[string]func(lunatic.PID, []byte){
		"square": square,
		"fail":   fail,
	})
}
