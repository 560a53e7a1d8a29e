"""Names for people: two words and a number from a key's id, such as ``brave-otter-41``.

A name helps to recognise a node in a list or on the phone. There are 65 million of them and anyone can look for a key
with a given one, so a name is never compared, stored or trusted in place of a key. The words and their order are part
of the protocol: everybody must see a node under the same name.
"""

_NUMBERS = 990
_FIRST_NUMBER = 10


def name_of(identity: bytes) -> str:
    """The name of the key with these 32 bytes as its id."""
    number = _FIRST_NUMBER + int.from_bytes(identity[2:4], "little") % _NUMBERS
    return f"{ADJECTIVES[identity[0]]}-{ANIMALS[identity[1]]}-{number}"


def _words(text: str) -> tuple[str, ...]:
    return tuple(text.split())


ADJECTIVES = _words(
    """
    able active agile alert amber apricot apt arctic ardent artful astral atomic august aureate autumn avid awake
    azure balmy blissful blithe bold bonny brave breezy bright brisk bronze bubbly buoyant busy calm candid careful
    caring cedar celestial cheerful chipper civic civil classic clean clear clever coastal cobalt comic cool copper
    cordial cosmic cosy courtly crafty creative crimson crisp crystal curious cyan dainty dapper daring dashing
    dawning decent deft devoted diligent distant dreamy dutiful eager early earnest easy elated elegant eloquent
    emerald eminent epic equal ethical even exact expert fabled fair faithful famous fancy fast fearless festive
    fine firm fleet floral fluent flying fond forest formal frank free fresh friendly frosty funny gallant generous
    gentle genuine giving glad gleaming global glowing golden good graceful gracious grand grateful great green
    happy hardy harmonic hazel hearty helpful heroic hilly honest hopeful humble humming icy ideal indigo inland
    ivory jade jaunty jolly jovial joyful joyous jubilant just keen kind kindly lasting laughing lavish learned
    level light likely lilac limber lively logical loyal lucid lucky lunar lush lyric magic marble maritime mellow
    melodic merry mighty mild mindful mint misty modern modest mossy musical mystic natural neat neon nifty nimble
    noble novel oaken olive open orderly pacific patient pearly peppy perky placid playful pleasant plucky poetic
    polar polite precise proud quick quiet radiant rapid ready regal robust rosy royal rustic sage serene sharp
    shiny silver sincere smart smooth snowy solar solid spirited starry steady stellar sturdy sunny swift tidy
    tranquil true trusty upbeat valiant velvet verdant vibrant vivid warm wise witty zesty
    """
)
"""256 kind words, none of them about body or origin."""

ANIMALS = _words(
    """
    albatross alpaca anchovy angelfish anteater antelope argali armadillo auk avocet axolotl bandicoot bat bear bee
    beetle beluga bilby bison blackbird bluebird boar bobcat bobolink bongo bullfinch bumblebee bunting bustard
    butterfly buzzard canary caracal caracara cardinal caribou carp cassowary catfish chamois cheetah chickadee
    chinchilla chipmunk chough cicada civet coati cockatiel condor coral cormorant corncrake cougar coyote crab
    crane cricket crossbill curlew damselfly deer dingo dipper dolphin dormouse dove dragonfly dugong duiker dunlin
    dunnock eagle echidna eel egret eider eland elk emu ermine falcon fennec ferret fieldfare finch firefly
    flamingo flycatcher fox frigatebird frog gannet gaur gavial gazelle gecko gerbil gerenuk giraffe glider gnu
    godwit goldcrest goldfinch goose gopher goshawk grayling grebe grouper grouse guanaco guillemot guppy haddock
    halibut hamster hare harrier hawfinch hawk hedgehog heron herring hoopoe hornbill horse hummingbird ibex ibis
    iguana impala jacana jackdaw jaguar jay jerboa kakapo kangaroo kestrel kingfisher kite kittiwake kiwi koala koi
    kookaburra kudu ladybird lapwing lark lemming lemur leopard linnet lion lizard llama lobster loris lynx macaw
    mackerel magpie mallard manatee manta mantis margay markhor marlin marmot marten meerkat merlin mink minnow
    mongoose moorhen moose moth mouflon narwhal nautilus newt nighthawk nightjar numbat nuthatch nyala ocelot
    octopus okapi opossum oriole oryx osprey ostrich otter owl oyster panda pangolin parakeet parrot partridge
    peacock pelican penguin perch petrel pheasant pika pike pintail pipit plover polecat porcupine porpoise puffin
    puma python quail quetzal quokka quoll rabbit raven redstart reindeer robin sable salmon sandpiper seahorse
    seal serval siskin skylark sparrow starling stork swan tapir tern thrush toucan trout turtle walrus wombat wren
    yak zebra
    """
)
"""256 animals, none of them a term of abuse."""
