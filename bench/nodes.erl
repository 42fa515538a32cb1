%% Does in Erlang what guests/bench/src/nodes.rs does between two nodes:
%% `erl -run nodes main MODE COUNT BYTES OTHER`.
%%
%% What one of them changes, the other has to follow.
-module(nodes).
-export([main/1, echo/1, sink/2, ends/0]).

main([Mode, Count, Bytes, Other]) ->
    Node = list_to_atom(Other),
    connect(Node),
    run(Mode, list_to_integer(Count), list_to_integer(Bytes), Node),
    halt().

connect(Node) ->
    case net_kernel:connect_node(Node) of
        true -> ok;
        _ -> timer:sleep(20), connect(Node)
    end.

%% Sends a number to and fro.
run("ping", Count, _, Node) ->
    Echo = spawn_link(Node, nodes, echo, [self()]),
    receive ready -> ok end,
    Start = now_ns(),
    repeat(Count, fun() -> Echo ! {ping, 7}, receive {ping, _} -> ok end end),
    since(Start, "ping", Count);

%% Sends messages as fast as it can, until the last has arrived.
run("flood", Count, Bytes, Node) ->
    Sink = spawn_link(Node, nodes, sink, [self(), Count]),
    receive ready -> ok end,
    Message = binary:copy(<<7>>, Bytes),
    Start = now_ns(),
    repeat(Count, fun() -> Sink ! {data, Message} end),
    receive done -> ok end,
    since(Start, "flood", Count);

%% Starts processes one after the other, each time waiting until it is there.
run("spawn", Count, _, Node) ->
    start(Node),
    Start = now_ns(),
    repeat(Count, fun() -> start(Node) end),
    since(Start, "spawn", Count);

%% Says when it is linked to a process there, and when that has ended.
run("watch", _, _, Node) ->
    process_flag(trap_exit, true),
    Echo = spawn_link(Node, nodes, echo, [self()]),
    receive ready -> ok end,
    print("ready", 1, 0),
    receive {'EXIT', Echo, _} -> ok end,
    print("told", 1, 0);

%% Is connected, and does nothing.
run("idle", _, _, _) ->
    print("ready", 1, 0),
    io:get_line("").

start(Node) ->
    Request = spawn_request(Node, nodes, ends, [], [{reply, yes}]),
    receive {spawn_reply, Request, ok, _} -> ok end.

ends() -> ok.

echo(Parent) ->
    Parent ! ready,
    pass_on(Parent).

pass_on(Parent) ->
    receive {ping, _} = Ping -> Parent ! Ping end,
    pass_on(Parent).

sink(Parent, Count) ->
    Parent ! ready,
    repeat(Count, fun() -> receive {data, _} -> ok end end),
    Parent ! done.

repeat(0, _) -> ok;
repeat(Count, Do) -> Do(), repeat(Count - 1, Do).

now_ns() -> erlang:monotonic_time(nanosecond).

since(Start, What, Count) -> print(What, Count, now_ns() - Start).

print(What, Count, Time) -> io:format("~s ~b ~b~n", [What, Count, Time]).
