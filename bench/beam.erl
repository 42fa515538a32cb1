%% Does in Erlang what guests/bench does in Rust: `erl -run beam main MODE COUNT`.
%%
%% What one of them changes, the other has to follow.
-module(beam).
-behaviour(supervisor).
-export([main/1, init/1, start_child/1]).

-define(RING_LINKS, 999).
-define(MEMBERS, 100).
-define(SPINNERS, 4).
-define(NAP_MS, 1).
-define(CLERKS, 1000).
-define(CONTENT_BYTES, 4096).
-define(KILLED, 10).

main([Mode, Count]) ->
    run(Mode, list_to_integer(Count)),
    halt().

%% Says just anything; the time that matters is taken from outside.
run("cold", Count) ->
    print("cold", Count, 0);

%% Spawns a process and hears one message from it, again and again.
run("spawn", Count) ->
    Start = now_ns(),
    repeat(Count, fun() -> spawn_greeter(self()), receive 0 -> ok end end),
    since(Start, "spawn", Count);

%% Spawns all at once, each saying something; then wakes all, each saying
%% something once more and ending.
run("burst", Count) ->
    Start = now_ns(),
    Members = [spawn_member(self()) || _ <- lists:seq(1, Count)],
    repeat(Count, fun() -> receive 0 -> ok end end),
    since(Start, "burst", Count),

    Woken = now_ns(),
    [Member ! 1 || Member <- Members],
    repeat(Count, fun() -> receive 1 -> ok end end),
    since(Woken, "wake", Count);

%% Keeps processes alive until somebody ends the standard input.
run("live", Count) ->
    Start = now_ns(),
    repeat(Count, fun() -> spawn_member(self()), receive 0 -> ok end end),
    since(Start, "ready", Count),
    io:get_line("");

%% Sends a number to and fro.
run("ping", Count) ->
    Self = self(),
    Partner = spawn(fun() -> pass_on(Self) end),
    Start = now_ns(),
    send_and_hear(0, Count, Partner),
    since(Start, "ping", Count);

%% Takes what another process sends as fast as it can.
run("flood", Count) ->
    Self = self(),
    Source = spawn(fun() -> receive Number -> send_numbers(0, Number, Self) end end),
    Start = now_ns(),
    Source ! Count,
    hear_numbers(0, Count),
    since(Start, "flood", Count);

%% Hands a number round until it took Count hops, to a full round.
run("ring", Count) ->
    First = lists:foldl(
        fun(_, Next) -> spawn(fun() -> pass_on(Next) end) end,
        self(),
        lists:seq(1, ?RING_LINKS)
    ),
    Rounds = div_ceil(Count, ?RING_LINKS + 1),
    Start = now_ns(),
    send_and_hear(0, Rounds, First),
    since(Start, "ring", Rounds * (?RING_LINKS + 1));

%% Members greet each other until Count messages went round, to a full round.
run("big", Count) ->
    Messages = ?MEMBERS * (?MEMBERS - 1),
    Rounds = div_ceil(Count, Messages),
    Self = self(),
    Members = [spawn(fun() -> everyone(Self, Rounds) end) || _ <- lists:seq(1, ?MEMBERS)],
    Start = now_ns(),
    [Member ! {'begin', lists:delete(Member, Members)} || Member <- Members],
    repeat(?MEMBERS, fun() -> receive 0 -> ok end end),
    since(Start, "big", Rounds * Messages);

%% Sleeps a short time again and again beside processes that never stop.
run("fair", Count) ->
    [spawn(fun() -> spin(0) end) || _ <- lists:seq(1, ?SPINNERS)],
    percentiles("fair", [nap() || _ <- lists:seq(1, Count)]);

%% Sends a number to and fro beside processes that read and write files.
run("files", Count) ->
    Self = self(),
    Partner = spawn(fun() -> pass_on(Self) end),
    [spawn(fun() -> file(Self, Clerk) end) || Clerk <- lists:seq(1, ?CLERKS)],
    repeat(?CLERKS, fun() -> receive ready -> ok end end),
    percentiles("files", [round_trip(Number, Partner) || Number <- lists:seq(1, Count)]);

%% Starts children from a template, kills a tenth of them at random, waits until
%% as many are there again, and stops all.
run("supervise", Count) ->
    Start = now_ns(),
    Supervisor = start_supervisor(simple_one_for_one, [
        #{id => member, start => {?MODULE, start_child, []}}
    ]),
    Children = [start_member(Supervisor) || _ <- lists:seq(1, Count)],
    hear_hellos(Count),
    since(Start, "supervise-start", Count),

    Killed = div_ceil(Count, ?KILLED),
    Shuffled = [Child || {_, Child} <- lists:sort([{rand:uniform(), Child} || Child <- Children])],
    Victims = lists:sublist(Shuffled, Killed),
    Restart = now_ns(),
    [exit(Child, kill) || Child <- Victims],
    hear_hellos(Killed),
    since(Restart, "supervise-restart", Killed),

    Stop = now_ns(),
    stop_supervisor(Supervisor),
    since(Stop, "supervise-stop", Count);

%% Starts children and kills one, so that all are stopped and started again.
run("one_for_all", Count) ->
    Self = self(),
    Start = now_ns(),
    Supervisor = start_supervisor(one_for_all, [
        #{id => Number, start => {?MODULE, start_child, [Self]}, shutdown => brutal_kill}
     || Number <- lists:seq(1, Count)
    ]),
    hear_hellos(Count),
    since(Start, "one-for-all-start", Count),

    Children = supervisor:which_children(Supervisor),
    {_, Middle, _, _} = lists:nth(1 + Count div 2, Children),
    Restart = now_ns(),
    exit(Middle, kill),
    hear_hellos(Count),
    since(Restart, "one-for-all-restart", Count),
    stop_supervisor(Supervisor);

%% Takes processes into a group one after the other, sends something to all of
%% them, which each answers, and takes them out again.
run("groups", Count) ->
    {ok, _} = pg:start_link(),
    Members = [spawn_answering(self()) || _ <- lists:seq(1, Count)],
    hear_hellos(Count),
    Start = now_ns(),
    [ok = pg:join(bench, Member) || Member <- Members],
    since(Start, "group-join", Count),

    Broadcast = now_ns(),
    [Member ! hello || Member <- pg:get_members(bench)],
    hear_hellos(Count),
    since(Broadcast, "group-broadcast", Count),

    Leave = now_ns(),
    [ok = pg:leave(bench, Member) || Member <- Members],
    since(Leave, "group-leave", Count);

%% Gives servers new code, with a changed state, and the old code again. Once all are
%% suspended before the first one changes, as release_handler does it; then one after the
%% other, so that each is suspended as short as can be.
run("reload", Count) ->
    Old = server_code(1),
    New = server_code(2),
    load_server(Old),
    Servers = [element(2, {ok, _} = gen_server:start(server, [], [])) || _ <- lists:seq(1, Count)],
    Together = fun(Code) ->
        Start = now_ns(),
        [ok = sys:suspend(Server) || Server <- Servers],
        load_server(Code),
        [ok = sys:change_code(Server, server, any, []) || Server <- Servers],
        [ok = sys:resume(Server) || Server <- Servers],
        now_ns() - Start
    end,
    print("reload-together-there", 1, Together(New)),
    print("reload-together-back", 1, Together(Old)),
    InTurn = fun(Code, Name) ->
        Start = now_ns(),
        load_server(Code),
        Pauses = [change_server(Server) || Server <- Servers],
        print(Name, 1, now_ns() - Start),
        Pauses
    end,
    There = InTurn(New, "reload-in-turn-there"),
    Back = InTurn(Old, "reload-in-turn-back"),
    percentiles("reload-pause", There ++ Back),
    %% Each one has changed its state four times.
    [{1, 4} = sys:get_state(Server) || Server <- Servers];

%% Computes the Fibonacci number in the slowest way there is.
run("fib", Index) ->
    Start = now_ns(),
    fibonacci(Index),
    since(Start, "fib", 1).

init({Strategy, Children}) ->
    {ok, {#{strategy => Strategy, intensity => 1000000, period => 1}, Children}}.

start_child(Parent) ->
    {ok, spawn_link(fun() ->
        Parent ! hello,
        receive _ -> ok end
    end)}.

%% How long a server was suspended for the change of its code.
change_server(Server) ->
    Start = now_ns(),
    ok = sys:suspend(Server),
    ok = sys:change_code(Server, server, any, []),
    ok = sys:resume(Server),
    now_ns() - Start.

%% A version of a server that counts how often its code has changed.
server_code(Version) ->
    Forms = [
        "-module(server).",
        "-behaviour(gen_server).",
        "-export([init/1, handle_call/3, handle_cast/2, code_change/3]).",
        "init([]) -> {ok, {1, 0}}.",
        "handle_call(_, _, State) -> {reply, State, State}.",
        "handle_cast(_, State) -> {noreply, State}.",
        "code_change(_, {_, Changes}, _) -> {ok, {" ++ integer_to_list(Version) ++
            ", Changes + 1}}."
    ],
    Parse = fun(Form) ->
        {ok, Tokens, _} = erl_scan:string(Form),
        {ok, Parsed} = erl_parse:parse_form(Tokens),
        Parsed
    end,
    {ok, server, Code} = compile:forms(lists:map(Parse, Forms)),
    Code.

load_server(Code) ->
    code:purge(server),
    {module, server} = code:load_binary(server, "server.erl", Code).

%% Says that it is there, and answers every message.
spawn_answering(Parent) ->
    spawn(fun() -> answer(Parent) end).

answer(Parent) ->
    Parent ! hello,
    receive _ -> answer(Parent) end.

start_supervisor(Strategy, Children) ->
    %% Its reports of restarts would be most of the work.
    logger:set_primary_config(level, none),
    {ok, Supervisor} = supervisor:start_link(?MODULE, {Strategy, Children}),
    Supervisor.

start_member(Supervisor) ->
    {ok, Child} = supervisor:start_child(Supervisor, [self()]),
    Child.

stop_supervisor(Supervisor) ->
    unlink(Supervisor),
    Monitor = monitor(process, Supervisor),
    exit(Supervisor, shutdown),
    receive {'DOWN', Monitor, _, _, _} -> ok end.

hear_hellos(Count) ->
    repeat(Count, fun() -> receive hello -> ok end end).

spawn_greeter(Parent) ->
    spawn(fun() -> Parent ! 0 end).

spawn_member(Parent) ->
    spawn(fun() ->
        Parent ! 0,
        receive Number -> Parent ! Number end
    end).

pass_on(Next) ->
    receive Number -> Next ! Number end,
    pass_on(Next).

send_and_hear(Count, Count, _) ->
    ok;
send_and_hear(Number, Count, Partner) ->
    Partner ! Number,
    receive Number -> ok end,
    send_and_hear(Number + 1, Count, Partner).

send_numbers(Count, Count, _) ->
    ok;
send_numbers(Number, Count, Sink) ->
    Sink ! Number,
    send_numbers(Number + 1, Count, Sink).

hear_numbers(Count, Count) ->
    ok;
hear_numbers(Number, Count) ->
    receive Number -> ok end,
    hear_numbers(Number + 1, Count).

everyone(Parent, Rounds) ->
    receive {'begin', Peers} -> ok end,
    repeat(Rounds, fun() ->
        [Peer ! hello || Peer <- Peers],
        repeat(?MEMBERS - 1, fun() -> receive hello -> ok end end)
    end),
    Parent ! 0.

nap() ->
    Start = now_ns(),
    receive after ?NAP_MS -> ok end,
    now_ns() - Start.

round_trip(Number, Partner) ->
    receive after ?NAP_MS -> ok end,
    Start = now_ns(),
    Partner ! Number,
    receive Number -> ok end,
    now_ns() - Start.

file(Parent, Clerk) ->
    Path = "bench-" ++ integer_to_list(Clerk) ++ ".tmp",
    write_and_read(Path),
    Parent ! ready,
    write_and_read_for_ever(Path).

write_and_read_for_ever(Path) ->
    write_and_read(Path),
    write_and_read_for_ever(Path).

write_and_read(Path) ->
    Content = binary:copy(<<"x">>, ?CONTENT_BYTES),
    ok = file:write_file(Path, Content),
    {ok, Content} = file:read_file(Path).

spin(Number) ->
    spin((Number + 1) band 16#ffff).

fibonacci(Index) when Index < 2 ->
    Index;
fibonacci(Index) ->
    fibonacci(Index - 1) + fibonacci(Index - 2).

repeat(0, _) ->
    ok;
repeat(Count, Do) ->
    Do(),
    repeat(Count - 1, Do).

percentiles(Name, Times) ->
    Sorted = lists:sort(Times),
    At = fun(Percent) -> lists:nth(1 + (length(Sorted) - 1) * Percent div 100, Sorted) end,
    print(Name ++ "-p50", 1, At(50)),
    print(Name ++ "-p99", 1, At(99)),
    print(Name ++ "-max", 1, At(100)).

div_ceil(Dividend, Divisor) ->
    (Dividend + Divisor - 1) div Divisor.

since(Start, Name, Count) ->
    print(Name, Count, now_ns() - Start).

print(Name, Count, Nanoseconds) ->
    io:format("~s ~b ~b~n", [Name, Count, Nanoseconds]).

now_ns() ->
    erlang:monotonic_time(nanosecond).
